"""Colours, fonts and layout of the page of `explore`.

Text has a contrast of at least 4.5 to what is behind it, edges of fields and the focus at least 3,
on a light and on a dark screen.
"""

from __future__ import annotations

from typing import Any

# System fonts: the page loads nothing from the network.
FONTS = {"font": ["system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}
# Variables of gradio's themes; those of a dark screen end in `_dark`.
COLOURS = {
    "block_title_text_color": "*primary_700",
    "block_label_text_color": "*primary_700",
    "block_info_text_color": "*neutral_600",
    "block_info_text_color_dark": "*neutral_300",
    "body_text_color_subdued": "*neutral_600",
    "body_text_color_subdued_dark": "*neutral_300",
    "button_primary_background_fill": "*primary_600",
    "button_primary_background_fill_dark": "*primary_600",
    "button_primary_background_fill_hover": "*primary_700",
    "button_primary_background_fill_hover_dark": "*primary_700",
    "color_accent": "*primary_600",
    "input_border_width": "1px",
    "input_border_width_dark": "1px",
    "input_border_color": "*neutral_500",
    "input_border_color_dark": "*neutral_400",
    "slider_color": "*primary_600",
    "slider_color_dark": "*primary_400",
}
CSS = """
.gradio-container { max-width: 960px !important; width: 100% !important; margin: auto !important; }
#title h1 { font-size: 1.6rem; margin: 0.4rem 0 0; overflow-wrap: anywhere; }
#title p { margin: 0; }
button[role=tab].selected { color: var(--primary-600) !important; }
.dark button[role=tab].selected { color: var(--primary-300) !important; }
:is(button, input, textarea, a, [tabindex]):focus-visible {
  outline: 3px solid var(--primary-600) !important; outline-offset: 2px !important;
}
.dark :is(button, input, textarea, a, [tabindex]):focus-visible {
  outline-color: var(--primary-300) !important;
}
.picture img, .cells img { image-rendering: pixelated; }
.cells .grid-wrap { max-height: none !important; overflow: hidden; }
.cells .grid-container {
  grid-template-columns: repeat(auto-fill, minmax(max(88px, 22%), 1fr)) !important;
}
.pair { flex-wrap: nowrap !important; }
@media (max-width: 640px) {
  .gradio-container { padding: 8px !important; }
  .pair { flex-direction: column; }
  .pair > * { width: 100% !important; min-width: 0 !important; }
  .cells .caption-label { font-size: 0.7rem; padding: 1px 5px; right: 2px; bottom: 2px; }
}
"""


def theme(gr: Any) -> Any:
    """Makes the theme of the page."""
    return gr.themes.Soft(primary_hue="indigo", **FONTS).set(**COLOURS)
