"""dogfood.sh from end to end, as tests of whole runs see it."""

from tests.python.runs import Place, journey


def test_a_run_leaves_its_records_and_nothing_else(place: Place) -> None:
    done = place.run(
        journey('build', 'echo $DOGFOOD_CHAIN >> @LEDGER@; echo made > $DOGFOOD_DATA_DIR/tag', establishes='tag'),
        journey('use', 'cat $DOGFOOD_DATA_DIR/tag', requires='tag', expect={'stdout': {'equals': 'made'}}),
        journey('other', 'exit 3', expect={'exit': 'nonzero'}),
    )
    assert (done.exit, done.said_exit, done.err.count('Traceback')) == (0, '0', 0), done.err
    assert done.verdicts == {'build': 'passed', 'use': 'passed', 'other': 'passed'}
    assert place.ran() == ['build']
    assert place.processes() == []
    assert list(place.tmp.iterdir()) == []


def test_a_failure_of_the_product_is_told_by_its_exit_status(place: Place) -> None:
    done = place.run(journey('right', 'true'), journey('wrong', 'false'))
    assert (done.exit, done.said_exit) == (1, '1')
    assert done.verdicts == {'right': 'passed', 'wrong': 'failed'}
