import { ErrorNotice } from "../../ui/ErrorNotice.tsx";
import { Skeleton } from "../../ui/Skeleton.tsx";
import { RequestDetail } from "./RequestDetail.tsx";
import { useRequest } from "./use-request.ts";

/** The detail of one request, or why it cannot be shown. */
export function RequestBody({ id }: { id: string }) {
  const { data: row, error, refetch } = useRequest(id);
  if (row) return <RequestDetail row={row} />;
  if (error) {
    return (
      <div className="p-4">
        <ErrorNotice what="This request" error={error} onRetry={() => void refetch()} />
      </div>
    );
  }
  return (
    <div className="flex flex-col gap-3 p-4" aria-busy="true">
      <Skeleton className="h-6 w-64" />
      <Skeleton className="h-40" />
      <Skeleton className="h-28" />
    </div>
  );
}
