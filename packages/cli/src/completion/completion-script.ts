/** Completion scripts for shells, written from the command tree itself, so that they never lag. */
import type { Command } from "commander";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

interface Completion {
  /** Words before this point, e.g. `network create`; empty at the root. */
  readonly path: string;
  readonly words: readonly { readonly word: string; readonly about: string }[];
}

function describeLevel(command: Command, path: string): Completion[] {
  const help = command.createHelp();
  const commands = help.visibleCommands(command).filter((sub) => sub.name() !== "help");
  const options = [...help.visibleOptions(command), ...help.visibleGlobalOptions(command)].filter(
    (option) => option.long !== undefined && option.long !== null,
  );
  const words = [
    ...commands.map((sub) => ({ word: sub.name(), about: firstSentence(sub.description()) })),
    ...options.map((option) => ({ word: option.long!, about: firstSentence(option.description) })),
  ];
  const below = commands.flatMap((sub) =>
    describeLevel(sub, path === "" ? sub.name() : `${path} ${sub.name()}`),
  );
  return [{ path, words }, ...below];
}

function firstSentence(text: string): string {
  return (text.split(/[.;\n]/u)[0] ?? "").trim().replaceAll("'", "").replaceAll(":", "");
}

/** A script to be sourced by the shell named. */
export function createCompletionScript(program: Command, shell: Shell): string {
  const levels = describeLevel(program, "");
  switch (shell) {
    case "bash":
      return bashScript(program.name(), levels);
    case "zsh":
      return zshScript(program.name(), levels);
    case "fish":
      return fishScript(program.name(), levels);
  }
}

/** Shell lines that build `path` from the words typed so far, options left out. */
function bashScript(name: string, levels: readonly Completion[]): string {
  const cases = levels
    .map(({ path, words }) => `    '${path}') words='${words.map((w) => w.word).join(" ")}' ;;`)
    .join("\n");
  return `# bash completion for ${name}: source this file, or put it into
# ~/.local/share/bash-completion/completions/${name}
_${name}() {
  local current="\${COMP_WORDS[COMP_CWORD]}" path='' word next words=''
  local known='${levels.map((level) => `|${level.path}`).join("")}|'
  local i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    [[ "$word" == -* ]] && continue
    next="\${path:+$path }$word"
    [[ "$known" == *"|$next|"* ]] && path="$next"
  done
  case "$path" in
${cases}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [[ \${#COMPREPLY[@]} -eq 0 ]] && COMPREPLY=($(compgen -f -- "$current"))
}
complete -F _${name} ${name}
`;
}

function zshScript(name: string, levels: readonly Completion[]): string {
  const cases = levels
    .map(({ path, words }) => {
      const items = words.map((w) => `'${w.word}:${w.about}'`).join(" ");
      return `    '${path}') items=(${items}) ;;`;
    })
    .join("\n");
  return `#compdef ${name}
# zsh completion for ${name}: put this file as _${name} into a folder of $fpath, or source it
_${name}() {
  local path_so_far='' word next
  local known='${levels.map((level) => `|${level.path}`).join("")}|'
  local -a items
  for word in "\${words[@]:1:$((CURRENT - 2))}"; do
    [[ "$word" == -* ]] && continue
    next="\${path_so_far:+$path_so_far }$word"
    [[ "$known" == *"|$next|"* ]] && path_so_far="$next"
  done
  case "$path_so_far" in
${cases}
  esac
  _describe 'hanse' items || _files
}
compdef _${name} ${name}
`;
}

function fishScript(name: string, levels: readonly Completion[]): string {
  const lines = levels.flatMap(({ path, words }) =>
    words.map(({ word, about }) => {
      const condition = `__${name}_at '${path}'`;
      const what = word.startsWith("--") ? `-l ${word.slice(2)}` : `-a ${word}`;
      return `complete -c ${name} -n "${condition}" ${what} -d '${about}'`;
    }),
  );
  return `# fish completion for ${name}: put this file into ~/.config/fish/completions/${name}.fish
function __${name}_at
  set -l known ${levels.map((level) => `'${level.path}'`).join(" ")}
  set -l path ''
  for word in (commandline -opc)[2..-1]
    string match -q -- '-*' $word; and continue
    set -l next (string trim -- "$path $word")
    contains -- $next $known; and set path $next
  end
  test "$path" = "$argv[1]"
end
${lines.join("\n")}
`;
}
