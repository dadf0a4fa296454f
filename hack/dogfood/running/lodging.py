"""Where a shard's chains live: one root of its own, a folder for each attempt of a chain, and what stays of them."""

import os
from collections.abc import Collection
from pathlib import Path

from hack.dogfood.rundir import RunDir
from hack.dogfood.running import workspace
from hack.dogfood.running.workspace import Workspace


class Lodging:
    """The folders of one shard. `wanted`: where they should be, if that will do; `keep`: failed, all or none."""

    def __init__(self, run_dir: RunDir, shard: int, run_id: str, wanted: str, keep: str) -> None:
        self._run_dir = run_dir
        self._root_link = run_dir.root(shard)
        self._run_id = run_id
        self._wanted = wanted
        self._keep = keep
        self._spare: str | None = None  # a folder that its chain left pristine

    def workspace(self, chain: str, number: int, attempt: int, folder: str) -> Workspace:
        """The chain's `folder`, as its steps see it."""
        # What a product keeps elsewhere under names with this prefix may have outlived an earlier attempt.
        prefix = f'df-{self._run_id[-6:]}-{number}' + (f'r{attempt}' if attempt > 1 else '') + '-'
        return Workspace(folder, chain, attempt, prefix, str(self._run_dir.capabilities))

    def fresh(self, chain: str, number: int, attempt: int) -> Workspace:
        """A folder with nothing in it; raises OSError."""
        spare, self._spare = self._spare, None
        name = f'{number}.{attempt}' if attempt > 1 else f'{number}'
        space = self.workspace(chain, number, attempt, spare or f'{self._root()}/{name}')
        if not spare:
            workspace.remove_tree(space.folder)  # half of one, where a shard was killed before it could tell of it
            workspace.make(space)
        return space

    def leave(self, space: Workspace, done: bool) -> None:
        """Keep the chain's folder and point to it, remove it, or have the next chain use it; raises OSError."""
        if self.is_kept(done):
            self.point_to(space.chain, space.folder)
        elif done and not self._spare and workspace.is_pristine(space):
            workspace.hand_over(space.folder)
            self._spare = space.folder
        else:
            workspace.remove_tree(space.folder)

    def is_kept(self, done: bool) -> bool:
        """Whether the folder of a chain stays for somebody to look at. `done`: nobody needs to."""
        return self._keep == 'all' or (self._keep == 'failed' and not done)

    def point_to(self, chain: str, folder: str) -> None:
        _link(self._run_dir.chains / chain, folder)

    def remove_earlier(self, chain: str, folder: str | None) -> None:
        """Nothing of an earlier attempt survives, neither `folder` nor what was kept; raises OSError."""
        kept = self._run_dir.chains / chain
        earlier = [folder] if folder else []
        earlier += [os.readlink(kept)] if kept.is_symlink() else []
        for path in earlier:
            if workspace.is_root_of(os.path.dirname(path), self._run_id):
                workspace.remove_tree(path)
        kept.unlink(missing_ok=True)

    def clear(self, needed: Collection[str]) -> None:
        """Remove what an earlier turn left behind, but the folders `needed` and those that are pointed to."""
        root = self._known_root()
        if root is None:
            return
        kept = {os.readlink(link) for link in self._run_dir.chains.iterdir()}
        for folder in workspace.folders_in(root):
            if folder not in kept and folder not in needed:
                workspace.remove_tree(folder)

    def close(self) -> None:
        """The shard is done: remove the root if nothing is kept in it; raises OSError."""
        if self._spare:
            workspace.remove_tree(self._spare)
        if self._root_link.is_symlink() and workspace.remove_root_if_empty(os.readlink(self._root_link)):
            self._root_link.unlink()

    def _root(self) -> str:
        """The root; the link to it is how it is found again, to go on or to clean up."""

        def announce(root: str) -> None:
            _link(self._root_link, root)

        return self._known_root() or workspace.make_root(self._run_id, self._wanted, announce)

    def _known_root(self) -> str | None:
        root = os.readlink(self._root_link) if self._root_link.is_symlink() else ''
        return root if workspace.is_root_of(root, self._run_id) else None


def _link(link: Path, target: str) -> None:
    link.unlink(missing_ok=True)
    link.symlink_to(target)
