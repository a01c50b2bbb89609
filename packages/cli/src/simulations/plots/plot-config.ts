/** How plots look. */
const GRID = "#e4e7eb";

/** The look that all plots share: one step of grid, readable sizes, no frame. */
export const PLOT_CONFIG = {
  font: "sans-serif",
  view: { stroke: null },
  axis: { gridColor: GRID, domainColor: "#9aa5b1", tickColor: "#9aa5b1", labelFontSize: 11 },
  title: { anchor: "start", fontSize: 14 },
  legend: { labelFontSize: 11, labelLimit: 0, titleLimit: 0 },
} as const;
