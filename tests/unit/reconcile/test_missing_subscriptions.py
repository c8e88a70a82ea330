"""What of the subscriptions may vanish without a doubt, and what may not."""

from shared.reconcile.discover.missing_subscriptions import fallen, remembered
from shared.reconcile.model import Inventory
from tests.unit.reconcile.bodies import subscription


def seen(*numbers: int, disabled: tuple[int, ...] = ()) -> Inventory:
    listed = [subscription(number, state="Disabled" if number in disabled else "Enabled") for number in numbers]
    return Inventory(listed, ())


def runs(*inventories: Inventory) -> list[bool]:
    """Whether each run in turn finds discovery doubtful; a doubtful one leaves no baseline."""
    known: dict[str, str] = {}
    told = []
    for inventory in inventories:
        now = remembered(inventory, known)
        told.append(bool(fallen(inventory, len(now))))
        known = known if told[-1] else now
    return told


def test_a_slow_loss_is_noticed_like_a_sudden_one() -> None:
    slowly = [seen(*range(20 - 2 * step)) for step in range(5)]
    assert runs(*slowly) == [False, False, False, True, True]
    assert runs(seen(*range(20)), seen(*range(15))) == [False, True]


def test_what_was_seen_disabled_may_go() -> None:
    whole, half = range(20), range(10)
    assert runs(seen(*whole), seen(*whole, disabled=tuple(range(10, 20))), seen(*half)) == [False, False, False]


def test_what_comes_back_is_no_loss_any_more() -> None:
    assert runs(seen(*range(20)), seen(*range(17)), seen(*range(20)), seen(*range(17))) == [False] * 4


def test_new_ones_hide_no_loss() -> None:
    assert runs(seen(*range(20)), seen(*range(10), *range(100, 110))) == [False, True]
