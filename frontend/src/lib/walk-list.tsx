/** The list a page shows, in its order, so that next and previous in the detail walk exactly it. */
import { createContext, useContext, useEffect, useState, type ReactNode } from "react";

type Ids = readonly string[];

// Two contexts, so that the page that offers its list is not drawn again for having offered it.
const Offered = createContext<Ids>([]);
const Offer = createContext<(ids: Ids) => void>(() => undefined);

export function WalkListProvider({ children }: { children: ReactNode }) {
  const [ids, setIds] = useState<Ids>([]);
  return (
    <Offer value={setIds}>
      <Offered value={ids}>{children}</Offered>
    </Offer>
  );
}

export function useWalkList(): Ids {
  return useContext(Offered);
}

/** `ids` must keep its identity while it is the same list. */
export function useOfferWalkList(ids: Ids): void {
  const offer = useContext(Offer);
  useEffect(() => {
    offer(ids);
    return () => offer([]);
  }, [ids, offer]);
}
