import { ApiError, AwayError } from "../lib/api.ts";
import { Button } from "./Button.tsx";
import { CopyButton } from "./CopyButton.tsx";
import { Notice } from "./Notice.tsx";

interface ErrorNoticeProps {
  what: string;
  error: Error;
  onRetry: () => void;
}

function details(error: Error): string {
  return error instanceof ApiError
    ? `${error.status} ${error.code}\n${error.message}\nGET ${error.requestUrl}`
    : `${error.name}: ${error.message}`;
}

/** What failed, in the server's words. A backend that is away has a banner of its own in the shell. */
export function ErrorNotice({ what, error, onRetry }: ErrorNoticeProps) {
  if (error instanceof AwayError) return null;
  return (
    <Notice
      tone="bad"
      title={`${what} could not be read`}
      actions={
        <>
          <Button onClick={onRetry}>Try again</Button>
          <CopyButton text="Copy details" label="Copy details of the error" value={() => details(error)} />
        </>
      }
    >
      <p>{error.message}</p>
      {error instanceof ApiError && (
        <p className="mt-1 font-mono text-11 text-ink-3">
          {error.status} {error.code}
        </p>
      )}
    </Notice>
  );
}
