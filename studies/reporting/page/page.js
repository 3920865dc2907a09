"use strict";
// Texts of models and names of arms come in through textContent alone; nothing here writes HTML.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);

  function make(tag, properties = {}, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  }

  const distinct = (values) => [...new Set(values)];

  // --- tables ---

  function sortable(table) {
    const body = table.tBodies[0];
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = make("button", { type: "button" }, ...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((each) => each.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const before = head.classList.contains("number") ? byNumber(column, down) : byText(column, down);
        body.append(...[...body.rows].sort(before));
      });
    });
  }

  // Cells without a number stay last, whichever way the others are sorted.
  function byNumber(column, down) {
    const of = (row) => row.cells[column].dataset.number;
    return (one, other) => {
      const [a, b] = [of(one), of(other)];
      if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
      return down ? b - a : a - b;
    };
  }

  function byText(column, down) {
    const order = new Intl.Collator("en", { numeric: true });
    const of = (row) => row.cells[column].textContent;
    return (one, other) => (down ? -1 : 1) * order.compare(of(one), of(other));
  }

  function filterable(table) {
    const rows = [...table.tBodies[0].rows];
    if (rows.length < 4) return;
    const named = { placeholder: "Filter rows", ariaLabel: "Filter rows" };
    const field = make("input", { type: "search", autocomplete: "off", ...named });
    const count = make("output");
    field.addEventListener("input", () => {
      const wanted = field.value.trim().toLowerCase();
      rows.forEach((row) => (row.hidden = !row.textContent.toLowerCase().includes(wanted)));
      const left = rows.filter((row) => !row.hidden).length;
      count.textContent = wanted ? `${left} of ${rows.length} rows` : "";
    });
    const controls = make("div", { className: "controls" }, field, count);
    table.closest(".scroll").before(controls);
  }

  // --- charts ---

  const AXIS = 64; // pixels left of a plot
  const LEGEND = 50; // right of a heat map
  const GAP = 34;

  // Vega-Lite gives views that stand beside each other no width of their container.
  function fitted(given, width) {
    const spec = structuredClone(given);
    // Facets in one row cannot wrap; the same facets without a row can.
    if (spec.facet?.column && !spec.facet.row) Object.assign(spec, { facet: spec.facet.column, columns: 4 });
    const parts = spec.concat ?? spec.vconcat ?? (spec.spec ? [spec.spec] : [spec]);
    const most = spec.concat || spec.spec ? spec.columns ?? 1 : 1;
    const columns = Math.max(1, Math.min(most, Math.floor(width / 420)));
    if (most > 1) spec.columns = columns;
    const each = Math.floor((width - GAP * (columns - 1)) / columns) - AXIS;
    parts.filter((part) => typeof part.width === "number")
      .forEach((part) => (part.width = Math.min(each, 1.5 * part.width)));
    spec.config.legend = { ...spec.config.legend, columns: Math.max(1, Math.floor(width / 200)) };
    return spec;
  }

  const OPTIONS = { actions: false, renderer: "svg", ast: true, tooltip: { theme: "page" } };

  // Draws once, and again whenever the box has another width; the specification may change in between.
  function drawn(box, specification) {
    let width = 0, ended = Promise.resolve();
    const draw = () => {
      ended = ended.then(async () => {
        box.finalize?.();
        const result = await vegaEmbed(box, specification(width), OPTIONS);
        box.finalize = () => result.finalize();
      });
      return ended;
    };
    let waiting;
    new ResizeObserver(() => {
      if (box.clientWidth === width || matchMedia("print").matches) return;
      const first = width === 0;
      width = box.clientWidth;
      clearTimeout(waiting);
      waiting = setTimeout(draw, first ? 0 : 150);
    }).observe(box);
    return () => width && draw();
  }

  // --- choices ---

  function choice(controls, label, change) {
    const select = make("select");
    select.addEventListener("change", change);
    controls.append(make("label", {}, label, select));
    return select;
  }

  // Keeps what was chosen where it is still there.
  function offer(select, values, labels = values) {
    const chosen = select.value;
    select.replaceChildren(...values.map((value, place) => make("option", { value }, String(labels[place]))));
    if (values.map(String).includes(chosen)) select.value = chosen;
    select.disabled = values.length < 2;
  }

  function chooseRun(controls, runs, change) {
    const arm = choice(controls, "Arm", () => (seeds(), change()));
    const seed = choice(controls, "Seed", change);
    const seeds = () => offer(seed, runs.filter((run) => run.arm === arm.value).map((run) => run.seed));
    offer(arm, distinct(runs.map((run) => run.arm)));
    seeds();
    return () => runs.find((run) => run.arm === arm.value && String(run.seed) === seed.value);
  }

  // --- heat map ---

  function questions(section) {
    const { runs, questions: asked, columns, axis, measure } = data.rates;
    if (!runs.length) return;
    const controls = section.querySelector(".controls");
    const change = () => (offer(suite, Object.keys(run().rates)), draw());
    const run = chooseRun(controls, runs, change);
    const suite = choice(controls, "Suite", () => draw());
    const order = choice(controls, "Order", () => draw());
    offer(suite, Object.keys(run().rates));
    offer(order, ["mean", "listed"], ["least solved first", "as listed"]);
    const mean = (row) => {
      const known = row.slice(1).filter((rate) => rate !== null);
      return known.reduce((sum, rate) => sum + rate, 0) / known.length;
    };
    const specification = (width) => {
      const rows = [...run().rates[suite.value]];
      if (order.value === "mean") rows.sort((one, other) => mean(one) - mean(other));
      const spec = structuredClone(data.heat_map);
      const cells = rows.flatMap(([place, ...rates], row) =>
        rates.map((rate, at) => ({ question: asked[suite.value][place], row, column: columns[at], rate })));
      const step = Math.max(3, Math.min(18, Math.floor(480 / rows.length)));
      spec.datasets.cells = cells.filter((cell) => cell.rate !== null);
      spec.width = Math.min(width - AXIS - LEGEND, 56 * columns.length);
      Object.assign(spec, { height: { step }, description: `${suite.value}, ${run().arm}: ${measure}` });
      spec.encoding.x = { ...spec.encoding.x, title: axis, scale: { domain: columns } };
      spec.encoding.y.title = `${rows.length} questions`;
      spec.encoding.color.title = measure.endsWith("(%)") ? measure.split(" ").at(-1) : measure;
      return spec;
    };
    const draw = drawn(section.querySelector(".chart"), specification);
  }

  // --- samples ---

  const LEFT_OUT = "left out";

  function samples(section) {
    const { runs, outcomes, terms } = data.samples;
    if (!runs.length) return;
    const controls = section.querySelector(".controls");
    const run = chooseRun(controls, runs, () => narrow());
    const outcome = choice(controls, "Outcome", () => narrow());
    const term = choice(controls, "Routed to", () => narrow());
    offer(outcome, ["", ...outcomes], ["any", ...outcomes]);
    offer(term, ["", ...terms, LEFT_OUT], ["any", ...terms, LEFT_OUT]);
    const place = choice(controls, "Step", () => show());
    const count = make("output");
    const turn = (by) => () => ((place.selectedIndex += by), show());
    const back = make("button", { type: "button", onclick: turn(-1) }, "← Earlier");
    const on = make("button", { type: "button", onclick: turn(1) }, "Later →");
    controls.append(back, on, count);

    const routed = ({ terms: to }) => !term.value || (term.value === LEFT_OUT ? !to.length : to.includes(term.value));
    const fits = (response) => (!outcome.value || response.outcome === outcome.value) && routed(response);

    const narrow = () => {
      const { records, recorded } = run();
      const fitting = records.map((_, at) => at).filter((at) => records[at].responses.some(fits));
      offer(place, fitting, fitting.map((at) => `${records[at].step} (question ${records[at].question})`));
      count.textContent = `${fitting.length} of ${records.length} questions here; ${recorded} recorded`;
      show();
    };
    const show = () => {
      const record = place.value === "" ? null : run().records[place.value];
      back.disabled = place.selectedIndex <= 0;
      on.disabled = place.selectedIndex >= place.options.length - 1;
      const shown = record ? described(record, fits) : [make("p", {}, "No recorded response is like that.")];
      section.querySelector(".shown").replaceChildren(...shown);
    };
    narrow();
  }

  function described(record, fits) {
    const fitting = record.responses.filter(fits);
    return [
      make("h3", {}, `Step ${record.step}, question ${record.question}`),
      make("pre", { className: "text" }, record.prompt),
      make("p", { className: "answer" }, "Accepted answer: ", make("code", {}, asText(record.answer))),
      make("p", { className: "answer" }, `${fitting.length} of ${record.responses.length} responses:`),
      make("ul", { className: "responses" }, ...fitting.map(responseItem)),
    ];
  }

  const asText = (answer) => (typeof answer === "string" ? answer : JSON.stringify(answer));

  function responseItem(response) {
    const routed = response.terms.length ? `routed to ${response.terms.join(", ")}` : LEFT_OUT;
    const idle = response.terms.length && !response.trained ? ", no gradient" : "";
    const text = make("pre", { className: "text" }, response.text);
    if (response.left_out) {
      const gap = ` … ${response.left_out.toLocaleString("en")} characters left out … `;
      text.append(make("span", { className: "gap" }, gap), response.end);
    }
    const told = `${response.outcome}, reward ${response.reward}; ${routed}${idle}`;
    const item = make("li", {}, make("p", {}, told), text);
    item.dataset.earned = response.reward > 0 ? "yes" : "no";
    return item;
  }

  document.querySelectorAll("main table").forEach((table) => (sortable(table), filterable(table)));
  document.querySelectorAll("[data-chart]").forEach((box) => {
    drawn(box, (width) => fitted(data.charts[box.dataset.chart], width));
  });
  questions(document.getElementById("questions"));
  samples(document.getElementById("samples"));
})();
