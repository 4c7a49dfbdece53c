"""Headless Chromium that opens pages from a folder, driven by Selenium, for marker `browser`."""

import json
import shutil
import tempfile
from contextlib import contextmanager

import pytest

OPTIONS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


class Browser:
    """A page that is open in a browser."""

    def __init__(self, driver):
        self.driver = driver

    def run(self, script, *arguments):
        """Run the body of an asynchronous function in the page, and return what it returns."""
        body = f"const done = arguments[arguments.length - 1]; (async () => {{{script}}})()"
        found = self.driver.execute_async_script(
            f"{body}.then((value) => done({{value}}), (error) => done({{error: String(error)}}))",
            *arguments,
        )
        assert "error" not in found, found
        return found["value"]

    def all(self, selector):
        """Return the visible elements that match a CSS selector."""
        found = self.driver.find_elements("css selector", selector)
        return [one for one in found if one.is_displayed()]

    def wait(self, condition):
        """Wait until a JavaScript expression is true; at most 10 s."""
        self.run(
            f"for (let left = 200; !({condition}); left--) {{"
            f" if (!left) throw new Error({json.dumps(condition)});"
            " await new Promise((later) => setTimeout(later, 50)); }"
        )

    def complaints(self):
        """Return the errors and warnings of the console since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def addresses(self):
        """Return what the page asked for, without what the browser's own pages did."""
        messages = (
            json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")
        )
        return {
            one["params"]["request"]["url"]
            for one in messages
            if one["method"] == "Network.requestWillBeSent"
            and not one["params"]["documentURL"].startswith("chrome://")
        }


@contextmanager
def opened(page, width=1400, height=900):
    """Open a file in Chromium; skips the test where Chromium or Selenium is not installed."""
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and chromedriver):
        pytest.skip("Chromium is not installed")
    with tempfile.TemporaryDirectory() as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        for option in (
            *OPTIONS,
            f"--window-size={width},{height}",
            f"--user-data-dir={profile}",
        ):
            options.add_argument(option)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        driver = webdriver.Chrome(options, webdriver.ChromeService(chromedriver))
        try:
            driver.get(page.as_uri())
            yield Browser(driver)
        finally:
            driver.quit()
