#!/usr/bin/env python3
"""Opens reports in a headless Chromium as a person would, on a desktop and on a phone, by day and by night: the videos play, in step; the
controls do what they say; nothing is fetched and nothing complained of; the accessibility check (axe) finds nothing. Exits with 1 where
one of these does not hold.

    report_in_chromium.py REPORT.html … [--screenshots FOLDER]
"""

import argparse
import pathlib
import shutil
import sys

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

SCREENS = {
    "desktop": {"viewport": {"width": 1280, "height": 900}},
    "phone": {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True},
}
STATES = "[...document.querySelectorAll('video')].map(v => ({ready: v.readyState, time: v.currentTime, paused: v.paused, error: v.error && v.error.message}))"


class Page:
    """A report on one screen, and what was found wrong with it."""

    def __init__(self, browser, report, screen, scheme):
        self.where = f"{report.parent.name}/{report.name}, {screen}, {scheme}"
        self.wrong = []
        context = browser.new_context(color_scheme=scheme, **SCREENS[screen])
        self.page = context.new_page()
        self.page.on("console", lambda message: self.expect(message.type not in ("error", "warning"), f"console: {message.text}"))
        self.page.on("pageerror", lambda error: self.expect(False, f"script: {error}"))
        self.page.on("request", lambda request: self.expect(request.url.startswith(("file:", "data:", "blob:")), f"fetched {request.url[:80]}"))
        self.page.goto(report.resolve().as_uri())

    def expect(self, holds, what):
        if not holds:
            self.wrong.append(what)

    def videos(self):
        return self.page.evaluate(STATES)

    def check(self):
        self.layout()
        if self.videos():
            times = self.page.evaluate("JSON.parse(document.getElementById('times').textContent)")
            if len(times) > 2:
                self.playing()
                self.stepping(times)
            else:
                self.page.wait_for_timeout(1000)
                self.expect(all(video["ready"] >= 2 and video["paused"] for video in self.videos()), f"a single frame does not stand still: {self.videos()}")
            self.dividing()
        found = Axe().run(self.page)
        for violation in found.response["violations"]:
            nodes = [node["html"][:120] for node in violation["nodes"][:3]]
            self.expect(False, f"axe: {violation['id']}: {violation['help']}: {nodes}")

    def layout(self):
        wide = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        self.expect(wide <= 0, f"the page is {wide} pixels wider than the screen")

    def playing(self):
        self.page.wait_for_timeout(1500)
        before = self.videos()
        self.expect(all(video["ready"] >= 2 and not video["error"] for video in before), f"not all videos can be played: {before}")
        self.expect(not any(video["paused"] for video in before), f"not all play by themselves: {before}")
        self.page.wait_for_timeout(200)
        after = self.videos()
        self.expect(all(a["time"] != b["time"] for a, b in zip(before, after)), f"some stand still: {before} {after}")

    def stepping(self, times):
        self.page.get_by_role("button", name="Pause").click()
        self.page.locator(".seek input").evaluate("input => { input.value = 0; input.dispatchEvent(new Event('input')); }")
        self.page.wait_for_timeout(400)
        for frame in range(min(3, len(times) - 1)):
            middle = (times[frame] + times[frame + 1]) / 2
            self.expect(all(abs(video["time"] - middle) < 0.01 for video in self.videos()), f"frame {frame + 1} is not shown by all: {self.videos()}")
            label = self.page.locator(".where").inner_text()
            self.expect(label == f"Frame {frame + 1} of {len(times) - 1}", f"the label says {label!r} at frame {frame + 1}")
            self.page.get_by_role("button", name="One frame forth").click()
            self.page.wait_for_timeout(300)
        self.expect(all(video["paused"] for video in self.videos()), "some go on playing while all are paused")

    def dividing(self):
        split = self.page.locator(".split")
        if not split.count():
            return
        slider = self.page.locator(".divide input")
        slider.focus()
        self.page.keyboard.press("Home")
        self.expect(split.evaluate("e => e.style.getPropertyValue('--at')") == "0%", "the slider does not move by keyboard")
        box = split.bounding_box()
        split.scroll_into_view_if_needed()
        box = split.bounding_box()
        self.page.mouse.click(box["x"] + box["width"] * 0.75, box["y"] + box["height"] / 2)
        at = float(split.evaluate("e => e.style.getPropertyValue('--at')").rstrip("%"))
        self.expect(abs(at - 75) <= 1, f"a click at 75 % moves the slider to {at} %")
        slider.evaluate("input => { input.value = 50; input.dispatchEvent(new Event('input')); }")

    def screenshot(self, folder, name):
        self.page.evaluate("scrollTo(0, 0)")
        self.page.screenshot(path=folder / f"{name}.png", full_page=True)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("reports", nargs="+", type=pathlib.Path)
    options.add_argument("--screenshots", type=pathlib.Path)
    arguments = options.parse_args()
    chromium = shutil.which("chromium")
    if not chromium:
        raise SystemExit("there is no chromium: apt-get install chromium")
    if arguments.screenshots:
        arguments.screenshots.mkdir(parents=True, exist_ok=True)
    broken = False
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"])
        for report in arguments.reports:
            for screen, scheme in (("desktop", "light"), ("desktop", "dark"), ("phone", "light")):
                page = Page(browser, report, screen, scheme)
                page.check()
                if arguments.screenshots:
                    page.screenshot(arguments.screenshots, f"{report.parent.name}-{screen}-{scheme}")
                print(f"{'ok   ' if not page.wrong else 'WRONG'} {page.where}")
                for what in page.wrong:
                    print(f"      {what}")
                broken = broken or bool(page.wrong)
        browser.close()
    sys.exit(1 if broken else 0)


main()
