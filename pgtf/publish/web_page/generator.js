// The network in ONNX Runtime Web: WebGPU where the browser has it, WebAssembly elsewhere.

const HAS_GPU_TIMEOUT_MS = 3000;

export async function facts() {
  return (await fetch("model.json")).json();
}

async function hasGpu() {
  if (!navigator.gpu) return false;
  const none = new Promise((resolve) => setTimeout(resolve, HAS_GPU_TIMEOUT_MS, null));
  try {
    return Boolean(await Promise.race([navigator.gpu.requestAdapter(), none]));
  } catch {
    return false;
  }
}

// Every file is compared with its hash, on a CDN as well as here.
async function bytes(file) {
  const answer = await fetch(file.url, { integrity: file.integrity });
  if (!answer.ok) throw new Error(`${file.url}: ${answer.status}`);
  return answer.arrayBuffer();
}

function script(file) {
  return new Promise((resolve, reject) => {
    const element = document.createElement("script");
    element.src = file.url;
    element.integrity = file.integrity;
    element.crossOrigin = "anonymous";
    element.onload = resolve;
    element.onerror = () => reject(new Error(`${file.url} could not be loaded`));
    document.head.append(element);
  });
}

async function session(kind, model) {
  const { script: main, glue, wasm } = model.runtime[kind];
  await script(main);
  const ort = globalThis.ort;
  const code = new Blob([await bytes(glue)], { type: "text/javascript" });
  ort.env.wasm.wasmPaths = { mjs: URL.createObjectURL(code) };
  ort.env.wasm.wasmBinary = await bytes(wasm);
  if (!globalThis.crossOriginIsolated) ort.env.wasm.numThreads = 1;
  const network = await bytes(model.network);
  return ort.InferenceSession.create(network, { executionProviders: [kind] });
}

export class Generator {
  static async load(model, kind = null) {
    const kinds = kind ? [kind] : (await hasGpu()) ? ["webgpu", "wasm"] : ["wasm"];
    for (const candidate of kinds) {
      try {
        const found = new Generator(model, candidate, await session(candidate, model));
        await found.pixels(new Float32Array(model.latent_size).fill(1), 0); // warm-up
        return found;
      } catch (error) {
        if (candidate === kinds.at(-1)) throw error;
        console.warn(error);
      }
    }
    throw new Error("no runtime");
  }

  constructor(model, kind, session) {
    Object.assign(this, { model, kind, session });
  }

  // One image: latents Float32Array, class number -> uint8 [H, W, C].
  async pixels(latents, classId) {
    const { Tensor } = globalThis.ort;
    const inputs = { latents: new Tensor("float32", latents, [1, latents.length]) };
    const size = this.model.label_size;
    if (size) {
      const label = new Float32Array(size);
      label[classId % size] = 1;
      inputs.labels = new Tensor("float32", label, [1, size]);
    }
    const { images } = await this.session.run(inputs);
    return images.data;
  }
}
