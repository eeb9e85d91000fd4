import { Check, Monitor, Moon, Sun, type LucideIcon } from "lucide-react";
import { chooseTheme, useThemeChoice, type ThemeChoice } from "../lib/theme.ts";
import { Menu } from "../ui/Menu.tsx";

const CHOICES: readonly { choice: ThemeChoice; label: string; icon: LucideIcon }[] = [
  { choice: "system", label: "As the system", icon: Monitor },
  { choice: "dark", label: "Dark", icon: Moon },
  { choice: "light", label: "Light", icon: Sun },
];

export function ThemeMenu() {
  const current = useThemeChoice();
  const Current = CHOICES.find(({ choice }) => choice === current)?.icon ?? Monitor;
  return (
    <Menu
      label="Theme"
      title="Theme"
      className="grid size-6 place-items-center rounded-control text-ink-3 hover:bg-raised hover:text-ink"
      button={<Current size={16} strokeWidth={1.5} aria-hidden />}
    >
      {(close) => (
        <ul className="w-40">
          {CHOICES.map(({ choice, label, icon: Icon }) => (
            <li key={choice}>
              <button
                type="button"
                aria-current={choice === current}
                onClick={() => {
                  chooseTheme(choice);
                  close();
                }}
                className="flex h-7 w-full items-center gap-2 rounded-control px-2 text-13 hover:bg-surface"
              >
                <Icon size={14} strokeWidth={1.5} aria-hidden className="text-ink-3" />
                {label}
                {choice === current && <Check size={14} aria-hidden className="ml-auto text-accent" />}
              </button>
            </li>
          ))}
        </ul>
      )}
    </Menu>
  );
}
