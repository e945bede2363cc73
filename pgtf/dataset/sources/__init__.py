"""One file per source of images; each turns what people have into uint8 images for the exporter."""
