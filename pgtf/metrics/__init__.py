"""Metrics of generated images: SWD, MS-SSIM, FID, Inception score, KID, precision/recall, modes.

Each is a function on arrays in a module of its own (`swd`, `ms_ssim`, `fid`, `inception_score`,
`kid`, `precision_recall`, `modes`); `evaluator.Evaluator` computes several of them in one pass over
sets of images (`image_sets`). docs/metrics.md says what each one measures, and what it costs.
"""
