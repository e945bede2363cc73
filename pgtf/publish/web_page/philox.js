// Latent vectors of seeds: the numbers of generate.py, computed as TensorFlow's stateless Philox
// computes them (Salmon et al. 2011, 10 rounds; Box-Muller in float32).

const MULTIPLIERS = [0xd2511f53, 0xcd9e8d57];
const WEYL = [0x9e3779b9, 0xbb67ae85];
const ROUNDS = 10;
// TensorFlow mixes a seed under this key, so that any seed is as good as another.
const SCRAMBLE_KEY = [0x3ec8f720, 0x02461e29];
const SMALLEST = Math.fround(1e-7); // of the uniform number whose logarithm is taken
const TWO_PI = Math.fround(2 * Math.PI);

// High and low 32 bits of a product of two unsigned 32-bit integers.
function product(a, b) {
  const low = Math.imul(a, b) >>> 0;
  const [a1, a0, b1, b0] = [a >>> 16, a & 0xffff, b >>> 16, b & 0xffff];
  const middle = a1 * b0 + ((a0 * b0) >>> 16);
  const carried = a0 * b1 + (middle % 65536);
  const high = a1 * b1 + Math.floor(middle / 65536) + Math.floor(carried / 65536);
  return [high >>> 0, low];
}

function philox(counter, key) {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < ROUNDS; round++) {
    const [high0, low0] = product(MULTIPLIERS[0], c0);
    const [high1, low1] = product(MULTIPLIERS[1], c2);
    [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0];
    k0 = (k0 + WEYL[0]) >>> 0;
    k1 = (k1 + WEYL[1]) >>> 0;
  }
  return [c0, c1, c2, c3];
}

// A float in [0, 1) of the low 23 bits.
const uniform = (bits) => (bits & 0x7fffff) / 0x800000;

function boxMuller(a, b) {
  const radius = Math.fround(Math.sqrt(-2 * Math.log(Math.max(uniform(a), SMALLEST))));
  const angle = Math.fround(TWO_PI * uniform(b));
  return [radius * Math.fround(Math.sin(angle)), radius * Math.fround(Math.cos(angle))];
}

// One latent vector: seed as a BigInt, a number or a text of digits -> Float32Array [size].
export function latentsOf(seed, size) {
  const bits = BigInt.asUintN(64, BigInt(seed));
  const words = [Number(bits & 0xffffffffn), Number(bits >> 32n), 0, 0];
  const [k0, k1, c2, c3] = philox(words, SCRAMBLE_KEY);
  const latents = new Float32Array(size);
  for (let i = 0; i < size; i += 4) {
    const x = philox([i / 4, 0, c2, c3], [k0, k1]);
    latents.set([...boxMuller(x[0], x[1]), ...boxMuller(x[2], x[3])].slice(0, size - i), i);
  }
  return latents;
}

const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
const scaled = (a, factor) => Float32Array.from(a, (x) => x * factor);

// The point at t in 0 ... 1 on the arc between two latent vectors.
export function between(a, b, t) {
  if (t === 0) return a;
  if (t === 1) return b;
  const [lengthA, lengthB] = [Math.sqrt(dot(a, a)), Math.sqrt(dot(b, b))];
  const angle = Math.acos(Math.min(Math.max(dot(a, b) / lengthA / lengthB, -1), 1));
  const sine = Math.sin(angle);
  const length = lengthA * (1 - t) + lengthB * t;
  const curved = sine > 1e-6;
  const weightA = curved ? Math.sin((1 - t) * angle) / sine : 1 - t;
  const weightB = curved ? Math.sin(t * angle) / sine : t;
  return Float32Array.from(
    a, (x, i) => length * ((weightA * x) / lengthA + (weightB * b[i]) / lengthB));
}

// Turns latents along directions, unit vectors, by angles in radians; the length stays.
export function edited(latents, vectors, angles) {
  const length = Math.sqrt(dot(latents, latents));
  const unit = scaled(latents, 1 / length);
  const tangent = new Float64Array(latents.length);
  vectors.forEach((vector, k) => {
    const along = dot(vector, unit);
    const across = vector.map((x, i) => x - along * unit[i]);
    const norm = Math.sqrt(dot(across, across)) || 1;
    across.forEach((x, i) => { tangent[i] += (angles[k] * x) / norm; });
  });
  const angle = Math.sqrt(dot(tangent, tangent));
  if (angle === 0) return latents;
  return Float32Array.from(unit, (x, i) =>
    length * (Math.cos(angle) * x + (Math.sin(angle) * tangent[i]) / angle));
}
