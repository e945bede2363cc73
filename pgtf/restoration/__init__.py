"""Networks that remove JPEG artifacts and enlarge photographs four times; docs/faces.md."""
