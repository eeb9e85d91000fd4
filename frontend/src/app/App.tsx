import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { lazy, Suspense, useState } from "react";
import { Route, Switch } from "wouter";
import { browserSurroundings, LiveStream, type LiveSurroundings } from "../lib/live-stream.ts";
import { LiveProvider } from "../lib/live.tsx";
import { retry } from "../lib/queries.ts";
import { TimeNavigationProvider } from "../lib/time-navigation.tsx";
import { WalkListProvider } from "../lib/walk-list.tsx";
import { NotFound } from "./NotFound.tsx";
import { PAGES } from "./pages.ts";
import { Shell } from "./Shell.tsx";

const RequestPage = lazy(() => import("../features/requests/RequestPage.tsx"));

function makeClient(): QueryClient {
  return new QueryClient({
    defaultOptions: { queries: { retry, retryDelay: 800, refetchOnWindowFocus: false, staleTime: 1_000 } },
  });
}

export function App({ surroundings }: { surroundings?: LiveSurroundings }) {
  const [client] = useState(makeClient);
  const [stream] = useState(() => new LiveStream(surroundings ?? browserSurroundings()));
  return (
    <QueryClientProvider client={client}>
      <LiveProvider stream={stream}>
        <TimeNavigationProvider>
          <WalkListProvider>
            <Shell>
              <Suspense fallback={null}>
                <Switch>
                  {PAGES.map((page) => (
                    <Route key={page.path} path={page.path} component={page.component} />
                  ))}
                  <Route path="/requests/:id">{({ id }) => <RequestPage id={id} />}</Route>
                  <Route component={NotFound} />
                </Switch>
              </Suspense>
            </Shell>
          </WalkListProvider>
        </TimeNavigationProvider>
      </LiveProvider>
    </QueryClientProvider>
  );
}
