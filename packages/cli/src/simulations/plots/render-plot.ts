/** Plots as SVG files, drawn without a browser by Vega. */
import type { TopLevelSpec } from "vega-lite";

/** The same text for the same plot: widths of letters are estimated, not measured. */
export async function renderPlot(plot: TopLevelSpec): Promise<string> {
  // Loaded here: they are large, and few commands draw.
  const vega = await import("vega");
  const { compile } = await import("vega-lite");
  const { spec } = compile({ background: "white", padding: 12, ...plot } as TopLevelSpec);
  const view = new vega.View(vega.parse(spec), { renderer: "none", logLevel: vega.Warn });
  try {
    return `${await view.toSVG()}\n`;
  } finally {
    view.finalize();
  }
}
