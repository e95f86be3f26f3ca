#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The page on a real cluster of the lab, through a switchover that is planned and confirmed on it: make play-page.

Starts three nodes with the daemon and the API, opens the page in a headless Chromium in the network of a standby's node, confirms a
switchover there as a person does, and waits until the page, never loaded again, shows the new leader. Pictures go to the folder SHOTS.
"""
import json
import os
import subprocess
import sys
import time

LAB, STAGE, SHOTS = sys.argv[1:4]
PORT = 8010


def lab(*arguments, check=True):
    outcome = subprocess.run([LAB, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if check and outcome.returncode != 0:
        sys.exit(f"pharos-lab {' '.join(arguments)}: {outcome.stdout}")
    return outcome.stdout


def on(node, script, timeout=60):
    return lab("exec", "--timeout", str(timeout), node, "--", "sh", "-c", script)


def until(look, what, limit=60):
    end = time.monotonic() + limit
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.2)
    sys.exit(f"not within {limit} s: {what}")


def play():
    """In the network of the node whose name is the fourth argument, with its token in the environment."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By

    leader = sys.argv[5]
    os.makedirs(SHOTS, exist_ok=True)
    options = webdriver.ChromeOptions()
    for argument in ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1180,1360"]:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)

    def text(selector):
        return browser.execute_script("const e = document.querySelector(arguments[0]); return e ? e.innerText : ''", selector)

    def shot(name):
        browser.save_screenshot(os.path.join(SHOTS, f"{name}.png"))

    try:
        browser.get(f"http://127.0.0.1:{PORT}/")
        field = until(lambda: browser.find_elements(By.ID, "token"), "the field for the token")[0]
        until(field.is_displayed, "the field for the token")
        field.send_keys(os.environ["PAGE_TOKEN"])
        field.submit()
        until(lambda: leader in text("#groups"), "the groups")
        until(lambda: text("#groups").count("well") >= 3, "all members to be well", 120)
        until(lambda: "10.77.0.100" in text("#groups") and "Nobody holds" not in text("#groups"), "the addresses to be held", 90)
        shot("before")
        browser.execute_script("window.neverLoadedAgain = true")
        browser.find_element(By.CSS_SELECTOR, "#groups button[data-operation=switchover]").click()
        browser.find_element(By.CSS_SELECTOR, "#operation-body button").click()
        until(lambda: browser.find_elements(By.ID, "operation-name"), "the plan")
        for box in browser.find_elements(By.CSS_SELECTOR, "#operation-body input[type=checkbox]"):
            print("an objection was overridden:", box.get_attribute("name"))
            box.click()
        browser.find_element(By.ID, "operation-name").send_keys(leader)
        shot("plan")
        browser.find_element(By.ID, "operation-confirm").click()
        until(lambda: "done:" in text("#operation-state"), "the switchover's end")
        print(text("#operation-state"))
        shot("done")
        browser.find_element(By.ID, "operation-close").click()
        new = until(lambda: [row for row in text("#groups").split("\n") if "leader" in row and leader not in row], "the new leader on the page")
        print("the page shows:", new[0])
        until(lambda: text("#failovers").strip(), "the change of leader on record", 90)
        # The new leader's daemon tells when it accepted writes; what is on record is read again after 10 s.
        until(lambda: "so far" not in text("#failovers .bars, #failovers").split("in all")[0], "the end of the failover on record", 60)
        shot("after")
        assert browser.execute_script("return window.neverLoadedAgain"), "the page was loaded again"
        for name, features in [("after-dark", [{"name": "prefers-color-scheme", "value": "dark"}])]:
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
            shot(name)
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 360, "height": 1800, "deviceScaleFactor": 1, "mobile": True})
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 360, "it is wider than 360 px"
        shot("after-360")
        complaints = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE" and " 401 " not in entry["message"]]
        assert not complaints, complaints
    finally:
        browser.quit()


def main():
    lab("up", "--install", STAGE)
    try:
        leader = until(lambda: json.loads(on("n1", "pharos status --json || true") or "{}").get("leader"), "a leader")
        node = next(name for name in ["n1", "n2", "n3"] if name != leader)
        token = on(node, f"""set -e
            pharos token add page --role endanger 2>/dev/null
            printf 'listen: ["127.0.0.1:{PORT}"]\\naccess: {{ tokens_file: /etc/pharos/api.tokens }}\\n' >/etc/pharos/api.yml
            systemctl start pharos-api""").split("\n")[0]
        until(lambda: "ok" in on(node, f"curl -s http://127.0.0.1:{PORT}/health || true"), "the API")
        outcome = subprocess.run(
            ["nsenter", f"--net=/run/netns/pharos-lab{os.environ.get('PHAROS_LAB', '')}-{node}", sys.executable, os.path.abspath(__file__), LAB, STAGE, SHOTS, node, leader],
            env={**os.environ, "PAGE_TOKEN": token})
        print(on(node, "pharos operations"))
        sys.exit(outcome.returncode)
    finally:
        lab("down", check=False)


if __name__ == "__main__":
    play() if len(sys.argv) > 4 else main()
