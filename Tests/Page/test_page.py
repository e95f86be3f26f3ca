#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The page in a headless Chromium, served as pharos-api serves it, with answers that are written here: make test-page.

The answers have the shape of the daemon's; what is in them is chosen to be awkward: markup in names, long words, no data at all.
"""
import http.server
import json
import os
import sys
import threading
import time
import unittest

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.chrome.service import Service

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = os.path.join(ROOT, "Sources", "page")
SHOTS = os.environ.get("PHAROS_PAGE_SHOTS")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
                               "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
}
HOSTILE = "<img src=x onerror=\"document.title='owned'\">"


def member(name, **more):
    return {"member": name, "role": "standby", "verdict": "well", "reason": "", "for_seconds": 60, "lag_bytes": 2048,
            "has_daemon": True, "version": "0.2.0", "is_synchronous": None, "is_suppressed": False, **more}


def failure(name, outcome, **more):
    return {"failure": name, "member": None, "text": name + " is lost", "outcome": outcome, "reason": "so it is", "for_seconds": None,
            "on": None, "command": None, "accepted_until": None, **more}


def cluster():
    return {
        "scope": "demo", "seen_by": "n1", "is_current": True, "read_seconds_ago": 3, "failover": None,
        "problems": [
            {"severity": "critical", "code": "no_leader", "text": "group 1: nobody leads", "advice": "patronictl list"},
            {"severity": "warning", "code": "no_daemon", "text": HOSTILE, "advice": "systemctl status pharos"}],
        "groups": [
            {"group": 0, "leader": "n1", "leader_for_seconds": 4000,
             "readiness": [failure("etcdMember", "survived"), failure("leaderNode", "not_survived", reason=HOSTILE, on="n2", command="etcdctl"),
                           failure("thisDaemon", "not_survived", accepted_until="2027-01-01"), failure("leaderPatroni", "not_known")],
             "addresses": [{"address": "10.77.0.100", "holder": "n1"}, {"address": "fd77::100", "holder": None}],
             "members": [member("n1", role="leader", lag_bytes=None), member("n2", is_synchronous=True),
                         member("n" + "x" * 90, verdict="node failed", reason="neither Patroni nor PostgreSQL answers", has_daemon=False)]},
            {"group": 1, "leader": None, "leader_for_seconds": None, "addresses": [], "members": [member(HOSTILE, verdict="suspected")]}],
    }


def failovers():
    start = 1790000000000
    return {"read_seconds_ago": 2, "is_whole": True, "reason": None, "failovers": [
        {"id": 134, "group": 0, "from": "n3", "to": "n1", "cause": "gray_failure", "cause_detail": "n1",
         "phases": {"last healthy sign": start - 33990, "first failure": start, "verdict": start + 115999,
                    "leader key lost": start + 118571, "new leader key": start + 118625, "accepts writes": start + 118755},
         "notes": [{"at": start + 115999, "text": HOSTILE}],
         "spans": [{"span": "detection", "milliseconds": 115999, "is_over": True, "budget_milliseconds": 150000},
                   {"span": "failover", "milliseconds": 196000, "is_over": True, "budget_milliseconds": 90000}]}]}


def findings():
    return {"verification_reason": None, "verification": {"seconds_ago": 61, "failure": None, "databases": [
        {"database": "app", "omitted": 0, "findings": [
            {"code": "row-wrong", "severity": "critical", "group": 1, "node": "10.0.0.2:5432", "evidence": "the row names n4",
             "remedy": "Run this:", "sql": ["select 1"], "commands": [], "run_on": "10.0.0.1:5432", "refusal": None}]}]}}


def operations():
    return {"current": [], "read_seconds_ago": 1, "reason": None, "operations": [
        {"at": 1790000000000, "node": "n1", "by": "ann, by the API", "planned_by": "ann", "operation": "acknowledge", "summary": HOSTILE,
         "overridden": [], "result": "done", "text": "n2 is vouched for", "advice": None}]}


def ticket(state, **more):
    plan = {"digest": "ab12", "summary": "switch group 0 over from n1 to n2", "must_name": "n1", "steps": ["claim it", "ask Patroni"],
            "effects": ["sessions on n1 end"], "rests_on": ["the leader: n1, since revision 9"], "valid_for_seconds": 299,
            "needs_role": "endanger", "hindrances": [], "objections": [
                {"name": "etcd-no-spare", "is_grave": True, "is_unseen": False, "text": "if etcd loses one more member, nobody can be elected",
                 "evidence": "3 members vote, 1 of them do not answer", "age_seconds": 2},
                {"name": "backup-running-unseen", "is_grave": False, "is_unseen": True, "text": "could not be looked at",
                 "evidence": HOSTILE, "age_seconds": None}]}
    return {"number": 7, "operation": "switchover", "by": "ann", "state": state, "plan": plan, "result": None, **more}


def events():
    return {"events": [{"time": 1790000000, "priority": 4, "message": HOSTILE, "number": 1}]}


class Site:
    """What is answered, and what was asked."""

    def __init__(self):
        self.answers = {"/v1/cluster": cluster(), "/v1/failovers": failovers(), "/v1/findings": findings(), "/v1/events": events(),
                        "/v1/operations": operations()}
        self.posted = []
        self.posts = {}
        self.token = None
        self.asked = []
        self.unchanged = 0
        self.is_silent = False
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def do_GET(self):
                if site.is_silent:
                    self.close_connection = True
                    return None
                path = self.path.split("?")[0]
                site.asked.append((path, self.headers.get("Authorization")))
                names = {"/": "index.html", "/page.css": "page.css", "/page.js": "page.js"}
                kinds = {"html": "text/html; charset=utf-8", "css": "text/css", "js": "text/javascript"}
                if path in names:
                    with open(os.path.join(PAGE, names[path]), "rb") as file:
                        return self.answer(200, file.read(), kinds[names[path].split(".")[1]])
                if path in site.answers:
                    if site.token and self.headers.get("Authorization") != "Bearer " + site.token:
                        return self.answer(401, b"{}", "application/json")
                    body = json.dumps(site.answers[path]).encode()
                    tag = '"%x"' % (hash(body) & 0xFFFFFFFF)
                    if self.headers.get("If-None-Match") == tag:
                        site.unchanged += 1
                        return self.answer(304, b"", None)
                    return self.answer(200, body, "application/json", tag)
                return self.answer(404, b"", "text/plain")

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                site.posted.append((self.path, self.headers.get("Content-Type"), json.loads(body)))
                status, value, current = site.posts.get(self.path, (404, {"error": "not_found", "message": "no such path", "hint": None}, None))
                if current is not None:
                    site.answers["/v1/operations"]["current"] = [current]
                return self.answer(status, json.dumps(value).encode(), "application/json")

            def answer(self, status, body, kind, tag=None):
                self.send_response(status)
                for name, value in HEADERS.items():
                    self.send_header(name, value)
                if kind:
                    self.send_header("Content-Type", kind)
                if tag:
                    self.send_header("ETag", tag)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d/" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class PageTests(unittest.TestCase):
    def setUp(self):
        self.site = Site()
        options = webdriver.ChromeOptions()
        for argument in ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,1600"]:
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.browser = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)

    def tearDown(self):
        self.browser.quit()
        self.site.stop()

    def open(self, width=1280, scheme="light"):
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                     {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False})
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        self.browser.get(self.site.url)

    def until(self, condition, what):
        end = time.monotonic() + 20
        while time.monotonic() < end:
            if condition():
                return
            time.sleep(0.1)
        self.fail("%s never came: %s" % (what, self.text()))

    def text(self, selector="body"):
        return self.browser.find_element(By.CSS_SELECTOR, selector).text

    def shot(self, name):
        if SHOTS:
            os.makedirs(SHOTS, exist_ok=True)
            height = self.browser.execute_script("return document.documentElement.scrollHeight")
            width = self.browser.execute_script("return innerWidth")
            self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                         {"width": width, "height": min(height, 4000), "deviceScaleFactor": 1, "mobile": False})
            self.browser.save_screenshot(os.path.join(SHOTS, name + ".png"))

    def test_it_shows_what_the_daemon_says_and_takes_no_markup_from_it(self):
        self.open()
        self.until(lambda: "1 critical, 1 warning" in self.text("#summary"), "the summary")
        whole = self.text()
        for text in ["group 1: nobody leads", "Nobody holds fd77::100", "10.77.0.100", "sync standby", "node failed for 60 s",
                     "116.0 s of 150.0 s", "196.0 s of 90.0 s, OVER", "app: row-wrong", HOSTILE, "by ann, by the API on n1",
                     "1 single failure would NOT be survived; 1 of 4 single failures would be survived now"]:
            self.assertIn(text, whole)
        self.assertEqual(self.browser.find_elements(By.CSS_SELECTOR, "main img"), [])
        self.assertIn("demo", self.browser.title)
        requested = self.browser.execute_script("return performance.getEntriesByType('resource').map(one => one.name)")
        self.assertTrue(requested and all(name.startswith(self.site.url) or name.startswith("data:") for name in requested), requested)
        self.until(lambda: self.site.unchanged > 3, "an answer that nothing changed")
        self.assertEqual([line for line in self.browser.get_log("browser") if "favicon" not in line["message"]], [])
        self.shot("light-1280")

    def test_narrow_and_dark(self):
        for scheme in ["light", "dark"]:
            self.open(360, scheme)
            self.until(lambda: "critical" in self.text("#summary"), "the summary")
            wide = self.browser.execute_script("return document.documentElement.scrollWidth")
            self.assertLessEqual(wide, 360)
            poor = self.browser.execute_script("""
                const light = (text) => { const [r, g, b] = text.match(/[\\d.]+/g).map(Number).map((one) => one / 255)
                    .map((one) => one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
                const ground = (one) => { for (; one; one = one.parentElement) { const colour = getComputedStyle(one).backgroundColor;
                    if (!/, 0\\)$/.test(colour)) return colour; } return "rgb(255, 255, 255)"; };
                return [...document.querySelectorAll("body *")].filter((one) => one.checkVisibility() && [...one.childNodes]
                    .some((node) => node.nodeType === 3 && node.textContent.trim())).map((one) => { const a = light(getComputedStyle(one).color),
                    b = light(ground(one)); return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), one.textContent.slice(0, 40)]; })
                    .filter(([ratio]) => ratio < 4.5);""")
            self.assertEqual(poor, [], "contrast below 4.5 in %s" % scheme)
            self.shot(scheme + "-360")

    def test_by_keyboard_alone(self):
        self.open()
        self.until(lambda: self.browser.find_elements(By.CSS_SELECTOR, "#failovers details"), "a change of leader")
        for _ in range(20):
            webdriver.ActionChains(self.browser).send_keys(Keys.TAB).perform()
            if self.browser.execute_script("return document.activeElement.matches('#failovers summary')"):
                break
        webdriver.ActionChains(self.browser).send_keys(Keys.ENTER).perform()
        self.until(lambda: "leader key lost" in self.text("#failovers"), "the steps")
        time.sleep(2.5)
        self.assertIn("leader key lost", self.text("#failovers"), "what is open stays open when the page looks again")

    def focused(self, selector):
        return self.browser.execute_script("return document.activeElement.matches(arguments[0])", selector)

    def keys(self, *keys):
        webdriver.ActionChains(self.browser).send_keys(*keys).perform()

    def test_a_switchover_is_planned_and_confirmed_by_keyboard_alone(self):
        self.site.posts["/v1/plans"] = (202, ticket("looking", plan=None), ticket("planned"))
        self.site.posts["/v1/plans/ab12/confirm"] = (202, ticket("confirming"), ticket("under_way", confirmed_by="ann"))
        self.open(360)
        self.until(lambda: self.browser.find_elements(By.CSS_SELECTOR, "#groups button[data-operation=switchover]"), "the button")
        for _ in range(20):
            self.keys(Keys.TAB)
            if self.focused("#groups button[data-operation=switchover]"):
                break
        self.keys(Keys.ENTER)
        self.until(lambda: self.focused("#operation-to"), "the choice")
        self.keys(Keys.TAB, Keys.ENTER)
        self.until(lambda: "etcd-no-spare (grave)" in self.text("#operation"), "the plan")
        whole = self.text("#operation")
        for text in ["switch group 0 over from n1 to n2", "claim it", "sessions on n1 end", "the leader: n1", HOSTILE, "Valid for 5 min"]:
            self.assertIn(text, whole)
        self.assertEqual(self.browser.find_elements(By.CSS_SELECTOR, "#operation img"), [])
        self.assertLessEqual(self.browser.execute_script("return document.documentElement.scrollWidth"), 360)
        self.assertLessEqual(self.browser.execute_script("return document.getElementById('operation').scrollWidth"), 360)
        self.shot("plan-360")
        confirm = self.browser.find_element(By.ID, "operation-confirm")
        self.assertFalse(confirm.is_enabled())
        self.assertTrue(self.focused("#operation-name"))
        self.keys("n1")
        self.assertFalse(confirm.is_enabled(), "objections are still open")
        webdriver.ActionChains(self.browser).key_down(Keys.SHIFT).send_keys(Keys.TAB).key_up(Keys.SHIFT).perform()
        self.keys(Keys.SPACE)
        self.assertFalse(confirm.is_enabled(), "one objection is still open")
        webdriver.ActionChains(self.browser).key_down(Keys.SHIFT).send_keys(Keys.TAB).key_up(Keys.SHIFT).perform()
        self.keys(Keys.SPACE)
        self.assertTrue(confirm.is_enabled())
        self.keys(Keys.TAB, Keys.TAB, Keys.END, "x")
        self.assertFalse(confirm.is_enabled(), "another name was typed")
        self.keys(Keys.BACKSPACE, Keys.ENTER)
        self.until(lambda: "Under way" in self.text("#operation-state"), "that it is under way")
        self.site.answers["/v1/operations"]["current"] = [
            ticket("ended", result={"outcome": "done", "text": "n2 leads. " + HOSTILE, "advice": None})]
        self.until(lambda: "done: n2 leads. " + HOSTILE in self.text("#operation-state"), "the result")
        self.assertEqual(self.site.posted, [
            ("/v1/plans", "application/json", {"operation": "switchover", "group": 0, "to": None}),
            ("/v1/plans/ab12/confirm", "application/json", {"name": "n1", "overrides": ["etcd-no-spare", "backup-running-unseen"]})])
        self.keys(Keys.ESCAPE)
        self.until(lambda: not self.browser.find_element(By.ID, "operation").is_displayed(), "the end of the dialog")

    def test_what_cannot_be_done_and_what_is_refused_is_told(self):
        hindered = ticket("planned")
        hindered["plan"]["hindrances"] = [{"code": "no_leader", "text": "nobody leads group 1", "advice": "patronictl list"}]
        hindered["plan"]["objections"] = []
        self.site.posts["/v1/plans"] = (202, ticket("looking", plan=None), hindered)
        self.open()
        self.until(lambda: len(self.browser.find_elements(By.CSS_SELECTOR, "#groups button[data-operation=switchover]")) == 2, "the buttons")
        self.browser.find_elements(By.CSS_SELECTOR, "#groups button[data-operation=switchover]")[1].click()
        self.browser.find_element(By.CSS_SELECTOR, "#operation-body button").click()
        self.until(lambda: "nobody leads group 1" in self.text("#operation"), "the hindrance")
        self.assertEqual(self.browser.find_elements(By.ID, "operation-confirm"), [])
        self.browser.find_element(By.ID, "operation-close").click()
        self.site.posts["/v1/plans"] = (403, {"error": "forbidden", "message": "the role look is not enough: this needs operate", "hint": "pharos token list"}, None)
        self.browser.find_elements(By.CSS_SELECTOR, "#groups button[data-operation=switchover]")[0].click()
        self.browser.find_element(By.CSS_SELECTOR, "#operation-body button").click()
        self.until(lambda: "No plan: the role look is not enough" in self.text("#operation-state"), "the refusal")

    def test_a_suppressed_member_is_vouched_for(self):
        self.site.answers["/v1/cluster"]["groups"][0]["members"][1]["is_suppressed"] = True
        vouch = ticket("planned", operation="acknowledge")
        vouch["plan"].update({"objections": [], "must_name": "n2", "summary": "vouch for n2 (group 0)"})
        self.site.posts["/v1/plans"] = (202, {**vouch, "state": "looking", "plan": None}, vouch)
        self.site.posts["/v1/plans/ab12/confirm"] = (
            202, {**vouch, "state": "confirming"}, {**vouch, "state": "ended", "result": {"outcome": "done", "text": "n2 is vouched for", "advice": None}})
        self.open()
        self.until(lambda: self.browser.find_elements(By.CSS_SELECTOR, "button[data-operation=acknowledge]"), "the button")
        self.assertEqual(len(self.browser.find_elements(By.CSS_SELECTOR, "button[data-operation=acknowledge]")), 1)
        self.browser.find_element(By.CSS_SELECTOR, "button[data-operation=acknowledge]").click()
        self.until(lambda: "Nothing speaks against it" in self.text("#operation"), "the plan")
        self.browser.find_element(By.ID, "operation-confirm").click()
        self.until(lambda: "done: n2 is vouched for" in self.text("#operation-state"), "the result")
        self.assertEqual(self.site.posted[0][2], {"operation": "acknowledge", "group": 0, "member": "n2"})
        self.assertEqual(self.site.posted[1][2], {"name": "n2", "overrides": []})

    def test_a_token_is_asked_for_and_sent(self):
        self.site.token = "secret"
        self.open()
        self.until(lambda: self.browser.find_element(By.ID, "sign-in").is_displayed(), "the form")
        field = self.browser.find_element(By.ID, "token")
        field.send_keys("wrong", Keys.ENTER)
        self.until(lambda: "unknown, or has expired" in self.text("#refusal"), "the refusal")
        field.send_keys("secret", Keys.ENTER)
        self.until(lambda: "critical" in self.text("#summary"), "the summary")
        self.assertFalse(self.browser.find_element(By.ID, "sign-in").is_displayed())
        self.assertNotIn("secret", self.browser.current_url)

    def test_what_is_old_is_called_old(self):
        self.open()
        self.until(lambda: "critical" in self.text("#summary"), "the summary")
        self.site.is_silent = True
        self.until(lambda: "No answer" in self.text("#summary") and "what stands below is of" in self.text("#summary"), "the word that it is old")
        self.assertIn("old", self.browser.find_element(By.TAG_NAME, "body").get_attribute("class"))

    def test_nothing_is_known_yet(self):
        self.site.answers["/v1/cluster"] = {"scope": "demo", "seen_by": "n1", "is_current": False, "read_seconds_ago": None, "problems": [],
                                            "groups": [], "failover": None}
        self.site.answers["/v1/failovers"] = {"read_seconds_ago": None, "reason": "not read yet", "failovers": None}
        self.site.answers["/v1/findings"] = {"verification": None, "verification_reason": "no Citus is followed here"}
        self.open()
        self.until(lambda: "has not read the groups" in self.text("#summary"), "the summary")
        self.assertNotIn("In order", self.text())
        self.assertIn("Not known: not read yet", self.text())
        self.assertFalse(self.browser.find_element(By.ID, "findings-section").is_displayed())

    def test_all_is_well(self):
        self.site.answers["/v1/cluster"]["problems"] = []
        self.open(1280, "dark")
        self.until(lambda: "In order" in self.text("#summary"), "the summary")
        self.assertFalse(self.browser.find_element(By.ID, "problems").is_displayed())
        self.shot("well-dark-1280")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"] + sys.argv[1:])
