/** The version that the command, and the nodes that it starts, call themselves. */
export const VERSION = "0.1.0";
