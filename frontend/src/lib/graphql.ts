/** Asking the GraphQL endpoint: of the page's own origin, unless the build was told another one. */
import { ApiError, postJson } from "./api.ts";

export const GRAPHQL_URL: string = import.meta.env["VITE_GRAPHQL_URL"] || "/graphql";

interface Reply<T> {
  data?: T | null;
  errors?: { message: string }[];
}

export async function ask<T>(query: string, variables: Record<string, unknown>, signal?: AbortSignal): Promise<T> {
  const reply = await postJson<Reply<T>>(GRAPHQL_URL, { query, variables }, signal);
  if (reply.errors?.length || !reply.data) {
    throw new ApiError(200, "graphql", reply.errors?.map(({ message }) => message).join(" ") ?? "GraphQL answered without data.", GRAPHQL_URL);
  }
  return reply.data;
}
