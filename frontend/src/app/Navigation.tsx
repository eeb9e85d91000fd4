import { PanelLeftClose, PanelLeftOpen } from "lucide-react";
import { Link } from "wouter";
import { useStored } from "../lib/use-stored.ts";
import { useUrlState } from "../lib/use-url-state.ts";
import { PAGES, type Page } from "./pages.ts";

const GROUPS = ["Observe", "Decide", "Operate", "Weir"] as const;

function isCurrent(page: Page, path: string): boolean {
  return page.path === "/" ? path === "/" : path === page.path || path.startsWith(`${page.path}/`);
}

function PageLink({ page, narrow }: { page: Page; narrow: boolean }) {
  const { path, to } = useUrlState();
  const current = isCurrent(page, path);
  const Icon = page.icon;
  return (
    <Link
      href={to(page.path)}
      aria-current={current ? "page" : undefined}
      title={`${page.question} (g ${page.key})`}
      className={`flex h-11 min-w-0 flex-1 flex-col items-center justify-center gap-0.5 rounded-control px-2 text-11 phone:h-8 phone:flex-none phone:flex-row phone:justify-start phone:gap-2 phone:text-13 ${
        current ? "bg-raised font-medium text-ink" : "text-ink-2 hover:bg-raised hover:text-ink"
      }`}
    >
      <Icon size={16} strokeWidth={1.5} aria-hidden className={`shrink-0 ${current ? "text-accent" : ""}`} />
      <span className={narrow ? "phone:sr-only" : "phone:sr-only tablet:not-sr-only"}>{page.label}</span>
      {!narrow && <kbd className="ml-auto hidden font-sans text-11 text-ink-3 tablet:inline">g {page.key}</kbd>}
    </Link>
  );
}

export function Navigation() {
  const [narrow, setNarrow] = useStored("weir.nav.narrow", false);
  const groups = GROUPS.map((name) => ({ name, pages: PAGES.filter((page) => page.group === name) }));
  const Icon = narrow ? PanelLeftOpen : PanelLeftClose;
  return (
    <nav
      aria-label="Pages"
      className={`row-start-4 flex gap-1 border-t border-line bg-surface p-1 phone:row-start-2 phone:flex-col phone:border-t-0 phone:border-r phone:p-2 ${narrow ? "phone:w-12" : "phone:w-12 tablet:w-46"}`}
    >
      {groups
        .filter((group) => group.pages.length > 0)
        .map((group) => (
          <div key={group.name} className="contents phone:mb-3 phone:flex phone:flex-col phone:gap-0.5">
            <p className={`hidden px-2 pb-1 text-12 tracking-[0.01em] text-ink-3 ${narrow ? "" : "tablet:block"}`}>{group.name}</p>
            {group.pages.map((page) => (
              <PageLink key={page.path} page={page} narrow={narrow} />
            ))}
          </div>
        ))}
      <button
        type="button"
        aria-label={narrow ? "Widen navigation" : "Narrow navigation"}
        title={narrow ? "Widen navigation" : "Narrow navigation"}
        onClick={() => setNarrow(!narrow)}
        className="mt-auto hidden h-8 items-center gap-2 rounded-control px-2 text-ink-3 hover:bg-raised hover:text-ink tablet:flex"
      >
        <Icon size={16} strokeWidth={1.5} aria-hidden />
      </button>
    </nav>
  );
}
