"""The HTML report in a real browser: what an engineer does with it works, and nothing of a capture runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.many import make

Show = Callable[..., Any]


def column(page: Any, number: int) -> list[str]:
    return [text.strip() for text in page.locator(f"#table tr.row > :nth-child({number})").all_inner_texts()]


def titles(page: Any) -> list[str]:
    return [text.strip() for text in page.locator("#table thead button").all_inner_texts()]


def test_sorting_by_any_column_both_ways(show: Show, samples: Path) -> None:
    page = show(samples)
    place = titles(page).index("Client") + 1
    page.get_by_role("button", name="Client").click()
    up = column(page, place)
    assert len(up) > 40
    assert page.locator("#table th[aria-sort=ascending]").inner_text().strip() == "Client"
    page.get_by_role("button", name="Client").click()
    assert page.locator("#table th[aria-sort=descending]").count() == 1
    assert column(page, place)[0] != up[0]
    for title in titles(page):
        page.locator("#table thead button", has_text=title).first.click()
        assert page.locator("#table tr.row").count() == len(up)


def test_sorting_puts_what_is_absent_last(show: Show, samples: Path) -> None:
    page = show(samples)
    place = titles(page).index("Answer") + 1
    for _ in range(2):
        page.get_by_role("button", name="Answer").click()
        assert column(page, place)[0]


def test_filtering_by_words(show: Show, samples: Path) -> None:
    page = show(samples)
    page.locator("#filter").fill("server-reset failed")
    assert page.locator("#table tr.row").count() >= 1
    place = next(i for i, title in enumerate(titles(page), 1) if title.startswith("Causes"))
    assert all("server-reset" in text for text in column(page, place))
    page.locator("#filter").fill("no such thing")
    assert page.locator("#table tr.row").count() == 0
    assert page.locator("#found").inner_text().startswith("0 of ")


def test_filtering_by_outcome(show: Show, samples: Path) -> None:
    page = show(samples)
    page.locator("#outcome").select_option("no-connection")
    place = titles(page).index("Outcome") + 1
    found = column(page, place)
    assert found
    assert all("no-connection" in text for text in found)


def test_the_matrix_narrows_the_table_and_a_chip_widens_it(show: Show, samples: Path) -> None:
    page = show(samples)
    everything = page.locator("#found").inner_text()
    page.locator(".matrix a.narrow").first.click()
    assert " of " in page.locator("#found").inner_text()
    assert page.locator(".chip").count() == 2
    page.locator(".chip").first.click()
    page.locator(".chip").first.click()
    assert page.locator("#found").inner_text() == everything


def test_a_row_opens_by_keyboard_with_the_same_ladder_as_the_card(show: Show, samples: Path) -> None:
    page = show(samples / "no-common-dialect.pcap")
    button = page.locator("#table .open")
    button.focus()
    page.keyboard.press("Enter")
    assert button.get_attribute("aria-expanded") == "true"

    def words(scope: str) -> list[str]:
        return [text.strip() for text in page.locator(f"{scope} svg.ladder text").all_text_contents()]

    def cells(scope: str) -> list[str]:
        # What is out of sight has no inner text.
        found = page.locator(f"{scope} table.offer :is(td, th)").all_text_contents()
        return [" ".join(text.split()) for text in found]

    assert len(words("details.connection")) > 10
    assert words("tr.detail") == words("details.connection")
    assert cells("tr.detail") == cells("details.connection")
    page.keyboard.press("Enter")
    assert page.locator("tr.detail").count() == 0


def test_copying_a_display_filter(show: Show, samples: Path) -> None:
    page = show(samples / "server-reset.pcap", permissions=["clipboard-read", "clipboard-write"])
    code = page.locator(".card .code", has_text="tcp.stream eq 0 &&").first
    code.get_by_role("button", name="Copy").click()
    code.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == code.locator("code").inner_text()


def test_copying_a_command_of_several_lines(show: Show, samples: Path) -> None:
    page = show(samples / "no-common-dialect.pcap", permissions=["clipboard-read", "clipboard-write"])
    block = page.locator(".code.block", has_text="Set-SmbClientConfiguration").first
    block.locator(".copy").click()
    block.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()").splitlines() == [
        "Get-SmbClientConfiguration | Select-Object Smb2DialectMin, Smb2DialectMax",
        "Set-SmbClientConfiguration -Smb2DialectMax SMB311",
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_follow_the_system_and_the_button(scheme: str, show: Show, samples: Path) -> None:
    page = show(samples / "server-reset.pcap", color_scheme=scheme)

    def dark() -> bool:
        red = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]")
        return int(red) < 100

    assert dark() == (scheme == "dark")
    page.locator("#theme").click()
    assert dark() == (scheme == "light")


@pytest.mark.parametrize("width", [390, 1400])
def test_nothing_is_wider_than_the_screen(width: int, show: Show, samples: Path) -> None:
    page = show(samples, viewport={"width": width, "height": 800})
    page.locator("#table .open").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_it_reads_without_its_script(show: Show, samples: Path) -> None:
    page = show(samples / "no-common-dialect.pcap", java_script_enabled=False)
    assert page.locator("details.connection svg.ladder").is_visible()
    assert page.locator("h1").inner_text().startswith("✕")
    assert not page.locator("#tools").is_visible()
    assert page.locator("noscript p").is_visible()


def test_printing_unfolds_everything(show: Show, samples: Path) -> None:
    page = show(samples / "no-common-dialect.pcap")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    assert page.pdf()[:5] == b"%PDF-"


def test_hostile_texts_do_nothing(show: Show, tmp_path: Path) -> None:
    pytest.importorskip("scapy", reason="the hostile capture is made with scapy")
    from tests import hostile

    page = show(hostile.write(tmp_path))
    for button in page.locator("#table .open").all():
        button.click()
    page.locator("#filter").fill("<script>")
    assert page.locator("#table tr.row").count() > 0
    page.locator("#filter").fill("")
    for link in page.locator("a.narrow").all():
        link.click()
    page.wait_for_timeout(50)
    assert page.evaluate("window.pwned") is None
    assert page.evaluate("document.scripts.length") == 2
    assert page.locator("img").count() == 0


def test_the_page_keeps_to_its_policy_from_a_server(
    show: Show, chromium: Any, samples: Path, tmp_path: Path
) -> None:
    show(samples / "server-reset.pcap")
    context = chromium.new_context()
    asked: list[str] = []

    def answer(route: Any) -> None:
        asked.append(route.request.url)
        route.fulfill(
            body=(tmp_path / "r.html").read_text("utf-8"), content_type="text/html; charset=utf-8",
            headers={"Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'"},
        )  # fmt: skip

    page = context.new_page()
    page.route("**/*", answer)
    page.goto("http://report.example/r.html")
    page.locator("#table .open").first.click()
    assert page.locator("tr.detail svg.ladder").count() == 1
    assert asked == ["http://report.example/r.html"]
    context.close()


def test_ten_thousand_connections(show: Show, tmp_path: Path) -> None:
    page = show(make(tmp_path / "many.pcap", 10_000))
    assert (tmp_path / "r.html").stat().st_size < 15_000_000
    assert page.locator("#found").inner_text() == "10,000 connections"
    assert page.locator("#table tr.row").count() == 50
    assert page.locator("#page").inner_text() == "Page 1 of 200"
    page.locator("#next").click()
    assert page.locator("#page").inner_text() == "Page 2 of 200"
    page.locator("#filter").press_sequentially("10.20.0.7:")
    assert page.locator("#table tr.row").count() <= 50
    assert all("10.20.0.7:" in text for text in column(page, titles(page).index("Client") + 1))
    page.locator("#table .open").first.click()
    assert page.locator("tr.detail svg.ladder text").count() > 3
