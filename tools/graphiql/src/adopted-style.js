/** In place of react-style-singleton, by which open menus and dialogs hold the page still: adopts a style sheet
 * where that one adds a <style> element, which the page's content security policy does not let in. */
import { useLayoutEffect } from "react";

export function styleSingleton() {
  return function AdoptedStyle({ styles }) {
    useLayoutEffect(() => {
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(styles);
      document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
      return () => {
        document.adoptedStyleSheets = document.adoptedStyleSheets.filter((other) => other !== sheet);
      };
    }, [styles]);
    return null;
  };
}
