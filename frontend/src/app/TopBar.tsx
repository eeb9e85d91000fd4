import { Keyboard } from "lucide-react";
import { Link } from "wouter";
import { useUrlState } from "../lib/use-url-state.ts";
import { IconButton } from "../ui/Button.tsx";
import { FilterBar } from "./FilterBar.tsx";
import { isScoped } from "./pages.ts";
import { LiveSwitch } from "./LiveSwitch.tsx";
import { ThemeMenu } from "./ThemeMenu.tsx";
import { TimeControl } from "./TimeControl.tsx";

function Mark() {
  return (
    <svg width="18" height="18" viewBox="0 0 16 16" aria-hidden fill="none" className="shrink-0">
      <path d="M1 4.5h6.4V12M9 12V7.5h6" stroke="var(--accent)" strokeWidth="1.6" />
      <path d="M1 13.5h14" stroke="var(--text-3)" strokeWidth="1" />
    </svg>
  );
}

export function TopBar({ onHelp }: { onHelp: () => void }) {
  const { path, to } = useUrlState();
  const scoped = isScoped(path);
  return (
    <header className="flex flex-wrap items-center gap-x-3 gap-y-1.5 border-b border-line bg-surface px-3 py-1.5 phone:col-span-2 tablet:h-11 tablet:flex-nowrap tablet:py-0">
      <Link href={to("/")} className="flex h-8 shrink-0 items-center gap-2 rounded-control text-14 font-semibold tablet:w-[9.75rem]">
        <Mark />
        Weir
      </Link>
      <div className={`${scoped ? "" : "hidden tablet:block "}order-last min-w-0 basis-full tablet:order-none tablet:flex-1 tablet:basis-0`}>
        {scoped && <FilterBar />}
      </div>
      <div className="ml-auto flex shrink-0 items-center gap-2">
        {scoped && <TimeControl />}
        <LiveSwitch />
        <div className="flex items-center">
          <ThemeMenu />
          <span className="hidden tablet:block">
            <IconButton label="Keyboard shortcuts" hint="?" onClick={onHelp}>
              <Keyboard size={16} strokeWidth={1.5} aria-hidden />
            </IconButton>
          </span>
        </div>
      </div>
    </header>
  );
}
