/** GraphiQL for Weir's own endpoint, with examples and links that hold the query. */
import { ToolbarButton, ToolbarMenu, useEditorContext } from "@graphiql/react";
import { GraphiQL } from "graphiql";
import { useEffect } from "react";
import { createRoot } from "react-dom/client";
import * as address from "./address.js";
import { EXAMPLES } from "./examples.js";
import "graphiql/graphiql.css";
import "./page.css";

const [FIRST] = Object.values(EXAMPLES);

async function fetcher(operation, { headers } = {}) {
  const response = await fetch("/graphql", {
    method: "POST",
    headers: { ...headers, "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify(operation),
  });
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`The server answered ${response.status} without JSON: ${text.slice(0, 300)}`);
  }
}

function Tools() {
  const { queryEditor, variableEditor, headerEditor, responseEditor } = useEditorContext({ nonNull: true });
  useEffect(() => {
    // GraphiQL leaves the fields that take the typing without names
    const names = new Map([[queryEditor, "Query"], [variableEditor, "Variables"], [headerEditor, "Headers"], [responseEditor, "Answer"]]);
    for (const [editor, name] of names) editor?.getInputField().setAttribute("aria-label", name);
  }, [queryEditor, variableEditor, headerEditor, responseEditor]);
  const show = (query) => {
    variableEditor?.setValue("");
    if (!queryEditor) return;
    queryEditor.setValue(query);
    queryEditor.operationName = null; // else it would name the one before until GraphiQL has parsed this
  };
  return (
    <>
      <ToolbarButton label="Copy link" onClick={() => navigator.clipboard.writeText(location.href)}>
        <svg className="graphiql-toolbar-icon weir-icon" viewBox="0 0 24 24" aria-hidden="true">
          <path d="M10 14a4 4 0 0 0 6 .5l3-3a4 4 0 0 0-6-6l-1.5 1.5M14 10a4 4 0 0 0-6-.5l-3 3a4 4 0 0 0 6 6l1.5-1.5" />
        </svg>
      </ToolbarButton>
      <ToolbarMenu
        label="Examples"
        button={
          <svg className="graphiql-toolbar-icon weir-icon" viewBox="0 0 24 24" aria-hidden="true">
            <path d="M5 6h14M5 12h14M5 18h9" />
          </svg>
        }
      >
        {Object.entries(EXAMPLES).map(([name, query]) => (
          <ToolbarMenu.Item key={name} onSelect={() => show(query)}>
            {name}
          </ToolbarMenu.Item>
        ))}
      </ToolbarMenu>
    </>
  );
}

// the address bar was written into, or a link on this page followed
addEventListener("hashchange", () => location.reload());

createRoot(document.getElementById("graphiql")).render(
  <GraphiQL
    {...address.read()}
    defaultQuery={FIRST}
    fetcher={fetcher}
    onTabChange={({ tabs, activeTabIndex }) => address.write(tabs[activeTabIndex])}
    shouldPersistHeaders={false}
    toolbar={{ additionalComponent: Tools }}
  >
    <GraphiQL.Logo>
      <h1>Weir GraphQL</h1>
      <nav aria-label="Formats">
        <a href="/api/docs">REST</a> <a href="/api/schema.graphql">schema.graphql</a>
      </nav>
    </GraphiQL.Logo>
  </GraphiQL>,
);
