// The page: seed, another, between two seeds, directions, classes, grid, download.

import { facts, Generator } from "./generator.js";
import { between, edited, latentsOf } from "./philox.js";
import { markedPng } from "./png.js";

const MAX_SEED = 10n ** 18n - 1n;
const CELLS = 12;
const MAX_RANDOM = 2 ** 32;
const $ = (id) => document.getElementById(id);

const model = await facts();
let generator = null;
let waiting = false; // a change came while an image was being made
let busy = false;

function seedOf(text) {
  const digits = (text.match(/[0-9]+/) || ["0"])[0].slice(0, 18);
  return BigInt(digits);
}

// By number of the class; "" = the classes in turn, as generate.py images.
function classOf(seed) {
  if (!model.label_size) return 0;
  return $("class").value === "" ? Number(seed % BigInt(model.label_size)) : Number($("class").value);
}

function angles() {
  return model.directions.map((_, i) => Number($(`direction${i}`).value));
}

function chosen() {
  const seed = seedOf($("seed").value);
  const t = Number($("t").value);
  let latents = latentsOf(seed, model.latent_size);
  if (t > 0) latents = between(latents, latentsOf(seedOf($("end").value), model.latent_size), t);
  return { seed, t, classId: classOf(seed), latents: edited(latents, vectors(), angles()) };
}

function vectors() {
  return model.directions.map((direction) => direction.vector);
}

function draw(canvas, pixels) {
  canvas.width = model.width;
  canvas.height = model.height;
  const context = canvas.getContext("2d");
  const data = context.createImageData(model.width, model.height);
  const channels = model.channels;
  for (let i = 0; i < model.width * model.height; i++) {
    for (let c = 0; c < 3; c++) data.data[4 * i + c] = pixels[channels * i + (channels > 1 ? c : 0)];
    data.data[4 * i + 3] = 255;
  }
  context.putImageData(data, 0, 0);
}

async function show() {
  waiting = true;
  if (busy || !generator) return;
  busy = true;
  try {
    while (waiting) {
      waiting = false;
      const { seed, t, latents, classId } = chosen();
      const begin = performance.now();
      draw($("image"), await generator.pixels(latents, classId));
      const time = Math.round(performance.now() - begin);
      $("image").setAttribute("aria-label", `Generated image of seed ${seed}`);
      const place = t > 0 ? `, ${Math.round(t * 100)}% of the way to ${seedOf($("end").value)}` : "";
      say(`Seed ${seed}${place}. ${time} ms per image, ${generator.kind === "wasm" ? "CPU" : "GPU"}.`);
    }
  } catch (error) {
    say(`This image could not be generated: ${error.message}`);
  } finally {
    busy = false;
  }
}

async function showGrid() {
  const first = seedOf($("seed").value);
  for (const [i, cell] of [...$("grid").children].entries()) {
    const seed = first + BigInt(i) > MAX_SEED ? MAX_SEED : first + BigInt(i);
    const latents = edited(latentsOf(seed, model.latent_size), vectors(), angles());
    while (busy) await new Promise((resolve) => setTimeout(resolve, 20));
    busy = true;
    try {
      draw(cell.firstChild, await generator.pixels(latents, classOf(seed)));
    } finally {
      busy = false;
    }
    cell.dataset.seed = seed;
    cell.setAttribute("aria-label", `Show seed ${seed}`);
    if (waiting) show();
  }
}

function say(text) {
  $("status").textContent = text;
}

function setSeed(seed) {
  $("seed").value = String(seed < 0n ? 0n : seed > MAX_SEED ? MAX_SEED : seed);
  show();
}

function another() {
  setSeed(BigInt(Math.floor(Math.random() * MAX_RANDOM)));
}

async function download() {
  const { seed, t, classId } = chosen();
  const exact = t === 0 && angles().every((angle) => angle === 0);
  const mark = exact
    ? model.mark.exact.replace("@SEED@", seed).replace("@CLASS@", classId)
    : model.mark.constant;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await markedPng($("image"), mark));
  link.download = `seed${String(seed).padStart(4, "0")}${exact ? "" : "-edited"}.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function build() {
  document.title = model.name;
  $("name").textContent = model.name;
  $("about").textContent = model.about;
  for (let i = 0; i < CELLS; i++) {
    const cell = document.createElement("button");
    cell.append(document.createElement("canvas"));
    cell.addEventListener("click", () => setSeed(BigInt(cell.dataset.seed ?? 0)));
    $("grid").append(cell);
  }
  $("classes").hidden = !model.label_size;
  for (const [i, name] of model.label_names.entries()) $("class").append(new Option(name, i));
  $("directions").hidden = !model.directions.length;
  for (const [i, direction] of model.directions.entries()) {
    const label = document.createElement("label");
    label.textContent = direction.name;
    const slider = document.createElement("input");
    Object.assign(slider, { type: "range", min: -1, max: 1, step: 0.01, value: 0 });
    slider.id = `direction${i}`;
    slider.addEventListener("input", show);
    label.append(slider);
    $("sliders").append(label);
  }
}

function listen() {
  for (const id of ["seed", "end", "t", "class"]) $(id).addEventListener("input", show);
  for (const id of ["seed", "end"]) {
    $(id).addEventListener("change", () => { $(id).value = String(seedOf($(id).value)); });
  }
  $("previous").addEventListener("click", () => setSeed(seedOf($("seed").value) - 1n));
  $("next").addEventListener("click", () => setSeed(seedOf($("seed").value) + 1n));
  $("another").addEventListener("click", another);
  $("more").addEventListener("click", showGrid);
  $("download").addEventListener("click", download);
  $("reset").addEventListener("click", () => {
    model.directions.forEach((_, i) => { $(`direction${i}`).value = 0; });
    show();
  });
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, select") || event.ctrlKey || event.metaKey || event.altKey) return;
    const steps = { ArrowLeft: -1n, ArrowRight: 1n };
    if (event.key in steps) setSeed(seedOf($("seed").value) + steps[event.key]);
    if (event.key === "a") another();
  });
}

build();
listen();
say("Loading the network ...");
try {
  generator = await Generator.load(model);
  await show();
  document.body.dataset.shown = "yes";
  await showGrid();
} catch (error) {
  document.body.dataset.shown ??= "no";
  say(`The network could not be loaded: ${error.message}`);
}
document.body.dataset.ready = generator ? "yes" : "no";
