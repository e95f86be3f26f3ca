// SPDX-License-Identifier: Apache-2.0
// Shows what the API says, again every two seconds. Names and texts come over the network: all of them are set as text, never as markup.
"use strict";

const pause = 2000;
const tokenKey = "pharos-token";
const known = {};
let lastAnswer = null;
let lastCluster = null;

const byId = (id) => document.getElementById(id);

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value);
  }
  for (const child of children) {
    if (child !== null && child !== undefined && child !== "") made.append(child);
  }
  return made;
}

// Nothing is drawn anew that says the same: what is read or selected stays.
function fill(id, children) {
  const holder = byId(id);
  const made = element("div", {}, ...children);
  if (holder.innerHTML === made.innerHTML) return;
  const open = new Set([...holder.querySelectorAll("details[open]")].map((one) => one.dataset.id));
  holder.replaceChildren(...made.childNodes);
  for (const details of holder.querySelectorAll("details")) details.open = open.has(details.dataset.id);
}

function span(seconds) {
  if (seconds === null || seconds === undefined) return "an unknown time";
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

const count = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;

function length(milliseconds) {
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

function bytes(count) {
  if (count === null || count === undefined) return "";
  if (count < 1048576) return `${Math.floor(count / 1024)} KiB`;
  return count < 1073741824 ? `${Math.floor(count / 1048576)} MiB` : `${Math.floor(count / 1073741824)} GiB`;
}

const clock = (milliseconds) => new Date(milliseconds).toISOString().replace("T", " ").slice(0, 19) + " UTC";

// The same, `seconds` later: where nothing else has changed, ages and the time of day have gone on.
function later(value, seconds) {
  if (Array.isArray(value)) return value.map((one) => later(one, seconds));
  if (value === null || typeof value !== "object") return value;
  const counts = (name) => name === "time" || name.endsWith("seconds_ago") || name.endsWith("for_seconds");
  return Object.fromEntries(Object.entries(value).map(([name, one]) =>
    [name, typeof one === "number" && counts(name) ? one + seconds : later(one, seconds)]));
}

// What the API answers at a path; as before, and older, where it says that nothing changed.
async function ask(path) {
  const headers = {};
  const token = sessionStorage.getItem(tokenKey);
  if (token) headers.Authorization = `Bearer ${token}`;
  const before = known[path];
  if (before && before.tag) headers["If-None-Match"] = before.tag;
  const answer = await fetch(path, { headers, cache: "no-store", credentials: "same-origin", signal: AbortSignal.timeout(5000) });
  if (answer.status === 304 && before) return later(before.value, Math.round((performance.now() - before.at) / 1000));
  if (answer.status === 401 || answer.status === 403) throw Object.assign(new Error("refused"), { refused: answer.status });
  if (!answer.ok) throw new Error(`${path} was answered with status ${answer.status}`);
  const value = await answer.json();
  known[path] = { tag: answer.headers.get("ETag"), value, at: performance.now() };
  return value;
}

// Asks for something that changes something. What is refused is told in the API's own words.
async function send(path, body) {
  const headers = { "Content-Type": "application/json" };
  const token = sessionStorage.getItem(tokenKey);
  if (token) headers.Authorization = `Bearer ${token}`;
  const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body), cache: "no-store", credentials: "same-origin", signal: AbortSignal.timeout(10000) });
  const value = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(`${value.message || `status ${answer.status}`}${value.hint ? ` (${value.hint})` : ""}`);
  return value;
}

function grade(member) {
  if (member.verdict === "well") return "";
  return member.verdict === "suspected" || member.verdict === "unknown" ? "warn" : "bad";
}

function memberRow(member, group) {
  const held = (group.addresses || []).filter((one) => one.holder === member.member).map((one) => one.address);
  const role = member.is_synchronous ? `sync ${member.role}` : member.role;
  const state = grade(member) === "" ? member.verdict : `${member.verdict} for ${span(member.for_seconds)}: ${member.reason}`;
  const vouch = member.is_suppressed
    ? element("button", { type: "button", "data-operation": "acknowledge", "data-group": group.group, "data-member": member.member }, "Vouch for it…") : "";
  const cells = [
    ["Member", member.member], ["Role", role], ["State", state],
    ["Lag", member.role === "standby" ? bytes(member.lag_bytes) : ""],
    ["Pharos", member.has_daemon ? member.version || "yes" : "none"], ["Addresses", held.join(" ")],
  ];
  return element("tr", { class: grade(member) || null }, ...cells.map(([label, text]) => element("td", { "data-label": label }, text, label === "State" ? vouch : "")));
}

// What would not be survived comes first, then what is not known; the rest is counted.
function readinessPart(group) {
  const all = group.readiness;
  if (!all) return "";
  const rank = { not_survived: 0, not_known: 1, survived: 2 };
  const kind = (one) => (one.outcome !== "not_survived" ? (one.outcome === "survived" ? "good" : "note") : one.accepted_until ? "note" : "bad");
  const word = (one) => (one.outcome === "survived" ? "Survived" : one.outcome === "not_known" ? "Not known"
    : one.accepted_until ? `Not survived, accepted until ${one.accepted_until}` : "NOT SURVIVED");
  const sorted = [...all].sort((a, b) => rank[a.outcome] - rank[b.outcome]);
  const lost = all.filter((one) => one.outcome === "not_survived" && !one.accepted_until).length;
  const survived = all.filter((one) => one.outcome === "survived").length;
  const summary = `${lost ? `${count(lost, "single failure")} would NOT be survived; ` : ""}${survived} of ${count(all.length, "single failure")} would be survived now`;
  return element("details", { "data-id": `readiness-${group.group}` },
    element("summary", {}, lost ? element("span", { class: "mark" }, "!") : "", summary),
    element("ul", {}, ...sorted.map((one) => element("li", { class: kind(one) },
      element("span", { class: "mark" }, word(one)), `if ${one.text}: ${one.reason}`,
      one.command ? element("p", { class: "code quiet" }, `on ${one.on}: ${one.command}`) : ""))));
}

function groupPart(group) {
  const heads = ["Member", "Role", "State", "Lag", "Pharos", "Addresses"];
  const leader = group.leader ? `${group.leader} leads, for ${span(group.leader_for_seconds)}` : "nobody leads";
  const unheld = (group.addresses || []).filter((one) => !one.holder).map((one) => one.address);
  return element("section", {},
    element("h3", {}, `Group ${group.group}: ${leader}`),
    readinessPart(group),
    unheld.length ? element("p", { class: "bad" }, element("span", { class: "mark" }, "!"), `Nobody holds ${unheld.join(", ")}`) : "",
    element("table", {},
      element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", { scope: "col" }, head)))),
      element("tbody", {}, ...(group.members || []).map((member) => memberRow(member, group)))),
    element("p", {}, element("button", { type: "button", "data-operation": "switchover", "data-group": group.group }, "Plan a switchover…")));
}

function bar(name, took, budget, isOver) {
  const over = took > budget;
  const text = `${isOver ? "" : "so far "}${length(took)} of ${length(budget)}${over ? ", OVER" : ""}`;
  return [
    element("span", {}, name),
    element("progress", { max: budget, value: Math.min(took, budget), class: over ? "over" : null, "aria-label": `${name}: ${text}` }),
    element("span", {}, text),
  ];
}

const bars = (spans) => (spans || []).flatMap((one) => bar(one.span, one.milliseconds, one.budget_milliseconds, one.is_over));

function failoverPart(record) {
  const cause = record.cause_detail ? `${record.cause.replace("_", " ")} (${record.cause_detail})` : record.cause.replace("_", " ");
  const first = Object.values(record.phases).reduce((a, b) => Math.min(a, b), Infinity);
  const known = record.phases["new leader key"] ?? first;
  const steps = Object.entries(record.phases).map(([phase, time]) => ({ time, text: phase }))
    .concat((record.notes || []).map((note) => ({ time: note.at, text: note.text })))
    .sort((a, b) => a.time - b.time);
  return element("div", { class: "card" },
    element("h3", {}, `${clock(known)}: group ${record.group}, ${record.from || "nobody"} → ${record.to}, ${cause}`),
    element("div", { class: "bars" }, ...bars(record.spans)),
    element("details", { "data-id": `failover-${record.group}-${record.id}` },
      element("summary", {}, "What happened when"),
      element("table", {}, element("tbody", {}, ...steps.map((step) => element("tr", {},
        element("td", { "data-label": "Time" }, clock(step.time)),
        element("td", { "data-label": "After" }, `+${length(Math.max(0, step.time - first))}`),
        element("td", { "data-label": "What" }, step.text)))))));
}

function problemPart(problem) {
  const isBad = problem.severity === "critical";
  return element("li", { class: isBad ? "bad" : "warn" },
    element("span", { class: "mark" }, isBad ? "CRITICAL" : "Warning"), problem.text,
    element("p", { class: "code quiet" }, problem.advice));
}

function findingPart(finding, database) {
  const kind = { critical: "bad", warning: "warn" }[finding.severity] || "note";
  const place = [finding.group === null ? null : `group ${finding.group}`, finding.node].filter((one) => one).join(", ");
  const commands = [...(finding.sql || []), ...(finding.commands || [])];
  return element("li", { class: kind },
    element("span", { class: "mark" }, finding.severity.toUpperCase()),
    `${database}: ${finding.code}${place ? ` (${place})` : ""}`,
    element("p", {}, finding.evidence), element("p", {}, finding.remedy),
    commands.length ? element("details", { "data-id": `finding-${database}-${finding.code}-${place}` },
      element("summary", {}, finding.run_on ? `To run on ${finding.run_on}` : "To run"),
      ...commands.map((command) => element("p", { class: "code" }, command))) : "");
}

function showCluster(cluster) {
  lastCluster = cluster;
  const problems = cluster.problems || [];
  const bad = problems.filter((problem) => problem.severity === "critical").length;
  const isKnown = cluster.read_seconds_ago !== null && cluster.read_seconds_ago !== undefined;
  const summary = byId("summary");
  byId("scope").textContent = cluster.scope || "";
  document.title = `${isKnown && !problems.length ? "" : `(${problems.length || "?"}) `}${cluster.scope || ""} – Pharos`;
  if (!isKnown) {
    summary.className = "warn";
    summary.textContent = "? The daemon has not read the groups in etcd yet";
  } else if (!problems.length) {
    summary.className = "good";
    summary.textContent = "✓ In order";
  } else {
    summary.className = bad ? "bad" : "warn";
    summary.textContent = `${bad ? "✗" : "!"} ${bad} critical, ${count(problems.length - bad, "warning")}`;
  }
  byId("source").textContent =
    `As the daemon of ${cluster.seen_by} knows it: ${cluster.is_current ? "etcd is watched, " : "this is OLD, "}read ${span(cluster.read_seconds_ago)} ago`;
  byId("problems").hidden = !problems.length;
  fill("problem-list", problems.map(problemPart));
  fill("groups", (cluster.groups || []).map(groupPart));
  const failover = cluster.failover;
  byId("running").hidden = !failover;
  fill("running-body", !failover ? [] : [
    element("h3", {}, `Group ${failover.group}: ${failover.from || "nobody"} → ${failover.to}`),
    element("div", { class: "bars" },
...bars(failover.spans)),
  ]);
}

function showFailovers(answer) {
  const records = answer.failovers;
  byId("failovers-state").textContent = records === null ? `Not known: ${answer.reason || "no reason was given"}`
    : answer.reason ? `Read ${span(answer.read_seconds_ago)} ago; since then: ${answer.reason}`
    : records.length ? "" : "None is on record.";
  fill("failovers", (records || []).slice(-20).reverse().map(failoverPart));
}

function showFindings(answer) {
  const verification = answer.verification;
  byId("findings-section").hidden = !verification && /no Citus/.test(answer.verification_reason || "");
  if (!verification) {
    byId("findings-state").textContent = `Not known here: ${answer.verification_reason}`;
    return fill("findings", []);
  }
  const parts = (verification.databases || []).flatMap((one) => (one.findings || []).map((finding) => findingPart(finding, one.database)));
  byId("findings-state").textContent =
    `Looked at ${span(verification.seconds_ago)} ago${verification.failure ? `; failed: ${verification.failure}` : ""}${parts.length ? "" : ": nothing was found"}`;
  return fill("findings", parts);
}

function showEvents(answer) {
  const events = (answer.events || []).slice(-30).reverse();
  fill("events", events.map((event) => element("li", {},
    element("time", {}, clock((event.time || 0) * 1000)),
    event.priority !== undefined && event.priority <= 3 ? element("span", { class: "mark" }, "ERROR") : "",
    event.priority === 4 ? element("span", { class: "mark" }, "Warning") : "", event.message || "")));
}

function operationPart(record) {
  const although = (record.overridden || []).join(", ");
  const kind = { done: null, unanswered: "warn", refused: "note", void: "note", failed: "bad" }[record.result];
  return element("li", { class: kind },
    element("span", { class: "mark" }, `${record.result}:`), ` ${clock(record.at)}: ${record.summary}, by ${record.by} on ${record.node}${although ? `, although: ${although}` : ""}`,
    element("p", { class: "quiet" }, record.text));
}

function showOperations(answer) {
  const records = answer.operations;
  const now = (answer.current || []).filter((one) => ["confirming", "under_way"].includes(one.state));
  byId("operations-state").textContent = [
    ...now.map((one) => `Under way: ${one.plan ? one.plan.summary : one.operation}, for ${one.confirmed_by || one.by}.`),
    records === null ? `What is on record is not known: ${answer.reason || "no reason was given"}` : records.length ? "" : "Nothing is on record.",
  ].join(" ").trim();
  fill("operations", (records || []).slice(-10).reverse().map(operationPart));
}

// Waits until the daemon's ticket is in none of these states; each new state is told.
async function follow(ticket, states, told) {
  const end = Date.now() + 280000;
  let last = null;
  while (states.includes(ticket.state)) {
    if (ticket.state !== last) told(ticket.state);
    last = ticket.state;
    if (Date.now() > end) throw new Error("nothing has come of it for long: look at what is on record");
    await new Promise((done) => setTimeout(done, 500));
    const answer = await ask("v1/operations");
    const found = (answer.current || []).find((one) => one.number === ticket.number);
    if (!found) throw new Error("the daemon keeps it no more: look at what is on record");
    ticket = found;
  }
  return ticket;
}

const words = {
  looking: "Looking at the facts …", confirming: "Looking at the facts again …", under_way: "Under way: it is followed to its end …",
};
const tell = (text) => { byId("operation-state").textContent = text; };

function list(name, title, texts) {
  return (texts || []).length ? [element("h3", {}, title), element(name, {}, ...texts.map((text) => element("li", {}, text)))] : [];
}

// The plan whole, and what it takes to confirm it.
function showPlan(ticket) {
  const plan = ticket.plan;
  const mustType = ticket.operation === "switchover" && plan.must_name;
  const boxes = plan.objections.map((objection) => element("input", { type: "checkbox", name: objection.name, id: `override-${objection.name}` }));
  const field = mustType ? element("input", { type: "text", id: "operation-name", autocomplete: "off", spellcheck: "false", autocapitalize: "off" }) : null;
  const button = element("button", { type: "submit", id: "operation-confirm" }, "Do it");
  const isReady = () => boxes.every((box) => box.checked) && (!field || field.value.trim() === plan.must_name);
  const form = element("form", {},
    ...plan.objections.map((objection, index) => element("div", { class: "card" },
      element("p", {}, element("span", { class: "mark" }, `${objection.name}${objection.is_grave ? " (grave)" : ""}:`), ` ${objection.text}`),
      element("p", { class: "quiet" }, `${objection.evidence}${objection.age_seconds === null ? "" : `, seen ${span(objection.age_seconds)} ago`}`),
      element("label", { for: boxes[index].id }, boxes[index], ` I put up with ${objection.name}`))),
    field ? element("label", { for: field.id }, "To do it, type the name of the member that leads now:") : "", field, element("p", {}, button));
  const refresh = () => { button.disabled = !isReady(); };
  form.addEventListener("input", refresh);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (isReady()) confirmPlan(plan, boxes.map((box) => box.name), form);
  });
  refresh();
  byId("operation-title").textContent = `Plan: ${plan.summary}`;
  byId("operation-body").replaceChildren(
    ...list("ol", "Steps", plan.steps), ...list("ul", "What follows", plan.effects), ...list("ul", "It rests on", plan.rests_on),
    ...plan.hindrances.flatMap((one) => [element("h3", {}, "It cannot be done"), element("p", {}, one.text), element("p", { class: "code quiet" }, one.advice)]),
    ...(plan.hindrances.length ? [] : [element("h3", {}, plan.objections.length ? "What speaks against it" : "Nothing speaks against it"), form]));
  tell(plan.hindrances.length ? "" : `Valid for ${span(plan.valid_for_seconds)}, and only while nothing of this moves.`);
  const first = field || boxes[0] || button;
  if (!plan.hindrances.length) first.focus();
}

async function confirmPlan(plan, overrides, form) {
  for (const one of form.querySelectorAll("input, button")) one.disabled = true;
  try {
    const ticket = await send(`v1/plans/${plan.digest}/confirm`, { name: plan.must_name, overrides });
    const ended = await follow(ticket, ["confirming", "under_way"], (state) => tell(words[state]));
    const result = ended.result || { outcome: "not known", text: "look at what is on record", advice: null };
    tell(`${result.outcome}: ${result.text}${result.advice ? ` – ${result.advice}` : ""}`);
  } catch (error) {
    tell(`Not done: ${error.message}`);
    for (const one of form.querySelectorAll("input, button")) one.disabled = false;
  }
  byId("operation-close").focus();
}

async function makePlan(operation) {
  tell(words.looking);
  try {
    const ticket = await follow(await send("v1/plans", operation), ["looking"], (state) => tell(words[state]));
    if (ticket.plan) showPlan(ticket);
  } catch (error) {
    tell(`No plan: ${error.message}`);
  }
}

function openOperation(kind, group, member) {
  byId("operation-body").replaceChildren();
  tell("");
  if (kind === "acknowledge") {
    byId("operation-title").textContent = `Vouch for ${member}`;
    makePlan({ operation: "acknowledge", group, member });
  } else {
    const known = ((lastCluster && lastCluster.groups) || []).find((one) => one.group === group) || {};
    const others = (known.members || []).map((one) => one.member).filter((name) => name !== known.leader);
    const choice = element("select", { id: "operation-to" }, element("option", { value: "" }, "the one that is fit best"),
      ...others.map((name) => element("option", { value: name }, name)));
    const form = element("form", {}, element("label", { for: choice.id }, "Who is to lead?"), choice, element("p", {}, element("button", { type: "submit" }, "Make the plan")));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      makePlan({ operation: "switchover", group, to: choice.value || null });
    });
    byId("operation-title").textContent = `Plan a switchover of group ${group}`;
    byId("operation-body").replaceChildren(form);
  }
  byId("operation").showModal();
}

async function look() {
  try {
    const [cluster, failovers, findings, events, operations] =
      await Promise.all(["v1/cluster", "v1/failovers", "v1/findings", "v1/events", "v1/operations"].map(ask));
    lastAnswer = Date.now();
    document.body.classList.remove("old");
    byId("sign-in").hidden = true;
    showCluster(cluster);
    showFailovers(failovers);
    showFindings(findings);
    showEvents(events);
    showOperations(operations);
  } catch (error) {
    document.body.classList.add("old");
    const summary = byId("summary");
    summary.className = "bad";
    if (error.refused) {
      byId("sign-in").hidden = false;
      byId("refusal").textContent = error.refused === 403 ? "This token may not look at the cluster."
        : sessionStorage.getItem(tokenKey) ? "This token is unknown, or has expired." : "";
      summary.textContent = "✗ Nothing is shown to whom it does not know";
    } else {
      const age = lastAnswer === null ? "" : `; what stands below is of ${clock(lastAnswer)}`;
      summary.textContent = `✗ No answer (${error.message})${age}`;
    }
  }
  setTimeout(look, pause);
}

byId("groups").addEventListener("click", (event) => {
  const button = event.target.closest("button[data-operation]");
  if (button) openOperation(button.dataset.operation, Number(button.dataset.group), button.dataset.member);
});
byId("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(tokenKey, byId("token").value.trim());
  byId("token").value = "";
  byId("sign-in").hidden = true;
});
look();
