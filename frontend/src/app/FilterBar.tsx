/** The one filter of the product: pills for what applies, words for what was not understood. */
import { useQueryClient } from "@tanstack/react-query";
import { Search, X } from "lucide-react";
import { useId, useState, type KeyboardEvent } from "react";
import { OUTCOMES, type Summary } from "../lib/api-types.ts";
import { FILTER_KEYS, formatClause, formatFilter, isEmpty, parseFilter, without, type Filter, type FilterKey } from "../lib/filter.ts";
import { useUrlState } from "../lib/use-url-state.ts";
import { suggest } from "./suggest.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

function joined(a: Filter, b: Filter): Filter {
  const keys = FILTER_KEYS.filter((key) => a[key] || b[key]);
  return Object.fromEntries(keys.map((key) => [key, [...new Set([...(a[key] ?? []), ...(b[key] ?? [])])]]));
}

/** Values seen in what has already been fetched; no request of its own. */
function useKnownValues(): (key: FilterKey) => string[] {
  const client = useQueryClient();
  return (key) => {
    if (key === "outcome") return [...OUTCOMES];
    if (key === "status") return ["2xx", "4xx", "5xx", "200", "404", "429", "502"];
    const seen = new Set<string>(key === "variant" ? ["production", "canary"] : []);
    for (const [, summary] of client.getQueriesData<Summary>({ queryKey: ["summary"] })) {
      for (const group of summary?.groups ?? []) {
        const value = group.key[key];
        if (typeof value === "string") seen.add(value);
      }
    }
    return [...seen];
  };
}

function Pill({ clause, onRemove }: { clause: string; onRemove: () => void }) {
  return (
    <span className="flex h-5 max-w-64 shrink-0 items-center rounded-full border border-line-strong bg-raised pl-2 text-12">
      <span className="truncate" title={clause}>
        {clause}
      </span>
      <button type="button" aria-label={`Remove ${clause}`} onClick={onRemove} className="grid size-5 shrink-0 place-items-center rounded-full text-ink-3 hover:text-ink">
        <X size={12} aria-hidden />
      </button>
    </span>
  );
}

export function FilterBar() {
  const { state, change, go } = useUrlState();
  const [text, setText] = useState("");
  const [active, setActive] = useState(-1);
  const [open, setOpen] = useState(false);
  const listId = useId();
  const known = useKnownValues();
  const suggestions = open ? suggest(text, known) : [];
  const typed = parseFilter(text);
  const problems = state.problems;

  const apply = (value: string) => {
    const clause = value.trim();
    if (!clause) return;
    if (UUID.test(clause)) {
      go(`/requests/${clause.toLowerCase()}`);
      setText("");
      return;
    }
    const { filter, problems: wrong } = parseFilter(clause);
    if (wrong.length > 0) return; // stays in the box, with the reason below it
    change({ filter: joined(state.filter, filter) });
    setText("");
    setActive(-1);
  };

  const take = (value: string) => {
    if (value.endsWith(":")) {
      setText(value);
      setActive(-1);
    } else apply(value);
  };

  const onKeyDown = (event: KeyboardEvent<HTMLInputElement>) => {
    if (event.key === "ArrowDown") setActive(Math.min(suggestions.length - 1, active + 1));
    else if (event.key === "ArrowUp") setActive(Math.max(-1, active - 1));
    else if (event.key === "Enter") take(suggestions[active] ?? text);
    else if (event.key === "Tab" && active >= 0 && suggestions[active]) take(suggestions[active]);
    else if (event.key === "Escape") {
      if (text) setText("");
      else event.currentTarget.blur();
    } else if (event.key === "Backspace" && !text && !isEmpty(state.filter)) {
      const last = FILTER_KEYS.findLast((key) => state.filter[key]?.length);
      change({ filter: without(state.filter, last ?? null) });
    } else return;
    event.preventDefault();
  };

  const showTypedProblem = open && text.includes(":") && typed.problems.length > 0 && suggestions.length === 0;
  return (
    <div className="relative" role="search">
      <div className="flex h-7 items-center gap-1.5 overflow-x-auto rounded-control border border-line-strong bg-bg px-2 [scrollbar-width:none] outline-offset-1 outline-accent focus-within:border-accent has-[input:focus-visible]:outline-2">
        <Search size={14} strokeWidth={1.5} aria-hidden className="shrink-0 text-ink-3" />
        {FILTER_KEYS.filter((key) => state.filter[key]?.length).map((key) => (
          <Pill key={key} clause={formatClause(key, state.filter[key]!)} onRemove={() => change({ filter: without(state.filter, key) })} />
        ))}
        <input
          id="filter-input"
          value={text}
          role="combobox"
          aria-label="Filter"
          aria-expanded={suggestions.length > 0}
          aria-controls={listId}
          aria-activedescendant={active >= 0 ? `${listId}-${active}` : undefined}
          autoComplete="off"
          spellCheck={false}
          placeholder={isEmpty(state.filter) ? "Filter: model:llama3 outcome:completed, or paste a request id" : ""}
          onChange={(event) => {
            setText(event.target.value);
            setActive(-1);
            setOpen(true);
          }}
          onFocus={() => setOpen(true)}
          onBlur={() => setOpen(false)}
          onKeyDown={onKeyDown}
          className="h-full min-w-24 flex-1 bg-transparent text-13 outline-none"
        />
        <kbd className="hidden font-sans text-11 text-ink-3 tablet:inline" aria-hidden>
          /
        </kbd>
      </div>
      {suggestions.length > 0 && (
        <ul id={listId} role="listbox" tabIndex={-1} aria-label="Suggestions" className="reveal absolute top-full left-0 z-40 mt-1 max-h-72 w-80 max-w-full overflow-y-auto rounded-panel border border-line bg-raised p-1 shadow-popover">
          {suggestions.map((value, at) => (
            <li
              key={value}
              id={`${listId}-${at}`}
              role="option"
              aria-selected={at === active}
              onPointerDown={(event) => {
                event.preventDefault();
                take(value);
              }}
              className={`truncate rounded-control px-2 py-1 text-13 hover:bg-surface ${at === active ? "bg-surface text-accent" : ""}`}
            >
              {value}
            </li>
          ))}
        </ul>
      )}
      {showTypedProblem && (
        <p role="alert" className="absolute top-full left-0 z-40 mt-1 rounded-panel border border-bad bg-raised px-2 py-1 text-12 shadow-popover">
          {typed.problems[0]?.message}
        </p>
      )}
      {!open && (problems.length > 0 || state.badRange !== null) && (
        <div role="alert" className="absolute top-full left-0 z-30 mt-1 max-w-full rounded-panel border border-warn bg-raised px-2 py-1 text-12 shadow-popover">
          {problems.map((problem) => (
            <p key={problem.clause}>
              Not applied: <code className="font-mono text-warn">{problem.clause}</code>, {problem.message}
            </p>
          ))}
          {state.badRange !== null && (
            <p>
              Time range <code className="font-mono text-warn">{state.badRange}</code> was not understood; showing the last hour.
            </p>
          )}
          <button
            type="button"
            className="text-accent underline underline-offset-2"
            onClick={() => change({ problems: [], badRange: null, filter: parseFilter(formatFilter(state.filter)).filter, range: state.range })}
          >
            Remove it from the address
          </button>
        </div>
      )}
    </div>
  );
}
