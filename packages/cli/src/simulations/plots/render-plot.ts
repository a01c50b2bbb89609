/** Plots as SVG files, drawn without a browser by Vega. */
import * as vega from "vega";
import { compile, type TopLevelSpec } from "vega-lite";

/** The same text for the same plot: widths of letters are estimated, not measured. */
export async function renderPlot(plot: TopLevelSpec): Promise<string> {
  const { spec } = compile({ background: "white", padding: 12, ...plot } as TopLevelSpec);
  const view = new vega.View(vega.parse(spec), { renderer: "none", logLevel: vega.Warn });
  try {
    return `${await view.toSVG()}\n`;
  } finally {
    view.finalize();
  }
}
