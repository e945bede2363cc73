"""Metrics of generated images: SWD, MS-SSIM, FID, Inception score, KID, precision/recall, modes.

Each has a module of its own (`swd`, `ms_ssim`, `fid`, `inception_score`, `kid`,
`precision_recall`, `modes`): functions on arrays, and a `Measure` for `evaluator.Evaluator`, which
computes several of them in one pass over sets of images (`image_sets`). `measures.MEASURES` lists
them all. docs/metrics.md explains what each one measures and costs.
"""
