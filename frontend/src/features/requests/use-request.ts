import { useQuery, useQueryClient, type InfiniteData } from "@tanstack/react-query";
import type { RequestPage, RequestRecord } from "../../lib/api-types.ts";
import { requestQuery } from "../../lib/queries.ts";

/** One request; a row that is in a list already stands in until the whole record is here. */
export function useRequest(id: string) {
  const client = useQueryClient();
  return useQuery({
    ...requestQuery(id),
    placeholderData: (): RequestRecord | undefined => {
      for (const [, data] of client.getQueriesData<InfiniteData<RequestPage>>({ queryKey: ["requests"] })) {
        for (const page of data?.pages ?? []) {
          const row = page.items.find((candidate) => candidate.request_id === id);
          if (row) return row;
        }
      }
      return undefined;
    },
  });
}
