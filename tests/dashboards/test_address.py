"""What a URL of the page asks for, and the URL of what is asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.address import Address, parse
from sweeper.analysis.live import Wanted


def test_nothing_is_told_that_goes_without_saying() -> None:
    assert Address().href == "/"
    assert Address("cifar").href == "/sweeps/cifar"
    assert Address("cifar", "trials").href == "/sweeps/cifar?tab=trials"


@given(
    st.builds(
        Address,
        sweep=st.text(min_size=1),
        tab=st.sampled_from(["compare", "trials", "workers"]),
        wanted=st.builds(
            Wanted,
            optimizer=st.text(),
            phase=st.text(),
            state=st.text(),
            find=st.text(max_size=200),
            sort=st.text(min_size=1),
            descending=st.booleans(),
            page=st.integers(1, 10**8),
        ),
        trial=st.text(),
    )
)
def test_an_address_is_read_back_from_its_url(address: Address) -> None:
    assert parse(address.path, address.search) == address


@given(st.text(), st.text())
def test_any_url_can_be_read(path: str, search: str) -> None:
    for read in (parse(path, search), parse(f"/sweeps/{path}", f"?{search}")):
        assert parse(read.path, read.search) == read


@pytest.mark.parametrize("page", ["0x1", "-1", "", "1e3", "9" * 30, "one"])
def test_a_page_that_is_no_number_is_the_first(page: str) -> None:
    assert parse("/sweeps/s", f"?page={page}").wanted.page == 1


def test_another_order_or_filter_begins_on_the_first_page() -> None:
    third = Address("s", "trials", Wanted(page=3))
    assert third.wanting(state="failed").wanted == Wanted(state="failed", page=1)
    assert third.wanting(page=4).wanted.page == 4


def test_another_tab_begins_anew_and_an_unknown_one_is_the_first() -> None:
    assert Address("s", "trials", Wanted(page=3), "adam/1").on("workers") == Address("s", "workers")
    assert parse("/sweeps/s", "?tab=nonsense").tab == "compare"
