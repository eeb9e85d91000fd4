/** The pages that exist, in the order of the navigation. A page that is not here has no link. */
import { Activity, List, Plug, Server, type LucideIcon } from "lucide-react";
import { lazy, type ComponentType } from "react";
import { Overview } from "./Overview.tsx";

export interface Page {
  path: string;
  label: string;
  group: "Observe" | "Decide" | "Operate" | "Weir";
  /** Whether the time range and the filter apply to it. */
  scoped: boolean;
  /** Pressed after `g`. */
  key: string;
  icon: LucideIcon;
  question: string;
  component: ComponentType;
}

export const PAGES: readonly Page[] = [
  {
    path: "/",
    label: "Overview",
    group: "Observe",
    scoped: true,
    key: "o",
    icon: Activity,
    question: "Is it healthy now? What changed?",
    component: Overview,
  },
  {
    path: "/requests",
    label: "Requests",
    group: "Observe",
    scoped: true,
    key: "r",
    icon: List,
    question: "Which requests? What happened to this one?",
    component: lazy(() => import("../features/requests/RequestsPage.tsx")),
  },
  {
    path: "/setup",
    label: "Setup",
    group: "Weir",
    scoped: false,
    key: "s",
    icon: Plug,
    question: "How do I point my app here?",
    component: lazy(() => import("../features/setup/SetupPage.tsx")),
  },
  {
    path: "/system",
    label: "System",
    group: "Weir",
    scoped: false,
    key: "y",
    icon: Server,
    question: "Is Weir itself healthy?",
    component: lazy(() => import("../features/system/SystemPage.tsx")),
  },
];

/** Whether the page at an address has a time range and a filter; pages that are not listed have. */
export function isScoped(path: string): boolean {
  return PAGES.find((page) => page.path === path)?.scoped ?? true;
}
