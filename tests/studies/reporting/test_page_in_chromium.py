"""Opens a planted study's page in a headless Chromium and uses it as a reader does."""

import json
import shutil
import time

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.studies.reporting.paged import ARMS, HOSTILE, plant, report

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver: apt-get install chromium-driver"
    ),
]
DESKTOP, PHONE = (1280, 900), (390, 844)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    planted = plant(tmp_path_factory.mktemp("page") / "toy", steps=12)
    return report(planted).as_uri()


@pytest.fixture(scope="module")
def chromium():
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def opened(chromium, address):
    """Return the browser with the page open at a desktop's size, and logs empty."""
    return open_page(chromium, address, DESKTOP)


def open_page(chromium, address, size, scheme="light"):
    for log in ("browser", "performance"):
        chromium.get_log(log)
    width, height = size
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [
        {"name": "prefers-color-scheme", "value": scheme},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features, "media": ""})
    chromium.get(address)
    wait(lambda: drawn_charts(chromium) == len(chromium.find_elements(By.CSS_SELECTOR, ".chart")))
    return chromium


def wait(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not so after {seconds} s"
        time.sleep(0.05)


def drawn_charts(chromium):
    return len(chromium.find_elements(By.CSS_SELECTOR, ".chart svg"))


def column(opened, table, place):
    cells = opened.find_elements(By.CSS_SELECTOR, f"#{table} tbody tr > :nth-child({place})")
    return [cell.text for cell in cells if cell.is_displayed()]


def choose(opened, section, label, text):
    """Choose an option of the control that is labelled so."""
    for control in opened.find_elements(By.CSS_SELECTOR, f"#{section} label"):
        if control.text.startswith(label):
            options = control.find_elements(By.TAG_NAME, "option")
            next(each for each in options if text in (each.text, each.get_attribute("value"))).click()
            return
    raise AssertionError(f"no control {label!r}")


def shown(opened):
    return opened.find_element(By.CSS_SELECTOR, "#samples .shown").text


def responses(opened):
    return [each.text for each in opened.find_elements(By.CSS_SELECTOR, "#samples .responses li")]


def test_the_page_opens_without_an_error_and_without_a_request(opened):
    assert opened.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in opened.get_log("performance")]
    asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert [url.partition(":")[0] for url in asked if not url.startswith("data:")] == ["file"]


def test_hostile_texts_are_shown_and_do_nothing(opened):
    choose(opened, "samples", "Arm", ARMS[3])
    assert any("onerror='window.hacked = 1'" in text for text in responses(opened))
    assert opened.execute_script("return window.hacked ?? null") is None
    assert not opened.find_elements(By.TAG_NAME, "img")
    assert opened.get_log("browser") == []


def test_every_chart_is_drawn_with_its_marks(opened):
    panels = opened.find_elements(By.CSS_SELECTOR, "#charts svg .mark-line path")
    # Solve rate, entropy and the validation have two or three lines each; there are as many as data say.
    assert len([path for path in panels if path.get_attribute("d")]) >= 8
    ink = opened.execute_script("return getComputedStyle(document.querySelector('#charts svg text')).fill")
    assert ink == opened.execute_script("return getComputedStyle(document.body).color")


def test_in_the_dark_text_of_the_page_and_of_charts_is_light(chromium, address):
    dark = open_page(chromium, address, DESKTOP, "dark")
    of = "const [r, g, b] = getComputedStyle({}).{}.match(/\\d+/g).map(Number); return (r + g + b) / 3"
    script = [
        of.replace("{}", "document.body", 1).replace("{}", name) for name in ("color", "backgroundColor")
    ]
    script.append(of.replace("{}", "document.querySelector('#charts svg text')", 1).replace("{}", "fill"))
    text, paper, chart = (dark.execute_script(each) for each in script)
    assert text > 200 > 50 > paper
    assert chart == text


def test_the_pointer_brings_up_the_numbers_of_the_nearest_step(opened):
    panel = opened.find_element(By.CSS_SELECTOR, "#charts svg .mark-line path")
    opened.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", panel)
    ActionChains(opened).move_to_element(panel).pause(0.2).move_by_offset(3, 2).perform()
    wait(lambda: opened.find_elements(By.CSS_SELECTOR, "#vg-tooltip-element.visible"))
    told = opened.find_element(By.ID, "vg-tooltip-element").text
    assert "step" in told
    assert "grpo" in told
    assert not opened.find_elements(By.CSS_SELECTOR, "#vg-tooltip-element img")


def test_a_column_of_numbers_is_sorted_both_ways(opened):
    head = opened.find_element(By.CSS_SELECTOR, "#table-table thead th:nth-child(2)")
    button = head.find_element(By.TAG_NAME, "button")
    before = [float(text.split()[0]) for text in column(opened, "table-table", 2)]
    button.click()
    assert head.get_attribute("aria-sort") == "ascending"
    ascending = [float(text.split()[0]) for text in column(opened, "table-table", 2)]
    assert ascending == sorted(before)
    button.send_keys(Keys.ENTER)
    assert head.get_attribute("aria-sort") == "descending"
    assert [float(text.split()[0]) for text in column(opened, "table-table", 2)] == ascending[::-1]
    assert len(set(before)) > 1


def test_cells_without_a_number_stay_last_and_one_column_is_marked_as_sorted(opened):
    heads = opened.find_elements(By.CSS_SELECTOR, "#table-table thead th")
    share = next(each for each in heads if each.text.startswith("offline rows"))
    place = 1 + opened.execute_script("return arguments[0].cellIndex", share)
    assert column(opened, "table-table", place)[0] == "–"
    heads[1].find_element(By.TAG_NAME, "button").click()
    for _ in range(2):
        share.find_element(By.TAG_NAME, "button").click()
        assert column(opened, "table-table", place)[-1] == "–"
    marked = opened.find_elements(By.CSS_SELECTOR, "#table-table [aria-sort]")
    assert marked == [share]


def test_rows_are_filtered_by_their_text(opened):
    field = opened.find_element(By.CSS_SELECTOR, "#content section.table input[type=search]")
    field.send_keys("GRPO")
    assert column(opened, "table-table", 1) == ["grpo"]
    assert opened.find_element(By.CSS_SELECTOR, "#content .controls output").text == "1 of 4 rows"
    field.clear()
    field.send_keys(" ")
    assert len(column(opened, "table-table", 1)) == 4


def test_the_samples_browser_switches_run_and_step_and_filters(opened):
    assert "sft at 1:" in shown(opened)
    choose(opened, "samples", "Arm", "grpo")
    choose(opened, "samples", "Seed", "1")
    choose(opened, "samples", "Step", "2 (question 102)")
    assert "grpo at 2:" in shown(opened)
    assert "correct, reward 1; left out" in shown(opened)
    opened.find_element(By.XPATH, "//button[text()='Later →']").click()
    assert "Step 3, question 103" in shown(opened)
    assert "demonstration, reward 1; routed to imitate" in shown(opened)
    choose(opened, "samples", "Routed to", "reinforce")
    assert len(responses(opened)) == 2
    choose(opened, "samples", "Outcome", "wrong")
    assert len(responses(opened)) == 1
    assert "wrong, reward 0; routed to reinforce" in responses(opened)[0]
    choose(opened, "samples", "Outcome", "any")
    choose(opened, "samples", "Routed to", "left out")
    assert "Step 2, question 102" in shown(opened)
    assert "1 of 12 questions here; 12 recorded" in opened.find_element(By.ID, "samples").text


def cells(opened):
    """Return the colours of the heat map's cells, row by row."""
    paths = opened.find_elements(By.CSS_SELECTOR, "#questions svg .mark-rect.role-mark path")
    return [path.get_attribute("fill") for path in paths]


def test_the_heat_map_is_drawn_for_the_run_that_is_chosen(opened):
    box = opened.find_element(By.CSS_SELECTOR, "#questions .chart")
    assert box.get_attribute("aria-label") == "add, sft: mean of its samples (%)"
    # Five questions in six validations, the one that is solved last in the first row.
    sorted_by_mean = cells(opened)
    assert len(sorted_by_mean) == 5 * 6
    unsolved, solved = sorted_by_mean[0], sorted_by_mean[-1]
    assert sorted_by_mean[:6] == [unsolved] * 2 + [solved] * 4
    choose(opened, "questions", "Order", "as listed")
    wait(lambda: cells(opened)[:6] == [solved] * 6)
    assert sorted(cells(opened)) == sorted(sorted_by_mean)
    choose(opened, "questions", "Arm", "grpo")
    wait(lambda: box.get_attribute("aria-label") == "add, grpo: mean of its samples (%)")
    assert len(cells(opened)) == 5 * 6
    assert opened.get_log("browser") == []


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_nothing_is_wider_than_the_window(chromium, address, size):
    page = open_page(chromium, address, size)
    assert page.execute_script("return document.documentElement.scrollWidth") <= size[0]
    widths = page.execute_script(
        "return [...document.querySelectorAll('.chart svg')].map(s => s.clientWidth)"
    )
    assert max(widths) <= size[0]
    headings = ("Solve rate in training", "Offline share", "Entropy of the policy", "Response length")
    places = {
        round(text.location["x"])
        for text in page.find_elements(By.CSS_SELECTOR, "#charts svg text")
        if text.text in headings
    }
    assert len(places) == (1 if size == PHONE else 2)


def test_the_skip_link_is_first_and_leads_to_the_tables(opened):
    opened.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    link = opened.switch_to.active_element
    assert link.text == "Skip to the tables"
    link.send_keys(Keys.ENTER)
    assert opened.switch_to.active_element.get_attribute("id") == "content"


def test_on_paper_there_are_no_controls_and_no_table_is_cut_off(opened):
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": []})
    for selector in ("nav", ".controls", ".skip"):
        assert not any(each.is_displayed() for each in opened.find_elements(By.CSS_SELECTOR, selector))
    cut = opened.execute_script(
        "return [...document.querySelectorAll('.scroll')]"
        ".filter(box => getComputedStyle(box).overflowX !== 'visible').length"
    )
    assert cut == 0
    assert HOSTILE[:9] in opened.find_element(By.TAG_NAME, "main").text
