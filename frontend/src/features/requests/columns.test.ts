import { expect, it } from "vitest";
import { COLUMNS, columnsFor } from "./columns.tsx";

it.each([320, 390, 568, 640, 772, 958, 1033, 1200, 1600])("fits into %d px", (width) => {
  const { columns } = columnsFor(width);
  const needed = columns.reduce((sum, column) => sum + column.width + 12, 24 - 12);
  expect(needed).toBeLessThanOrEqual(width);
  expect(columns.map((column) => column.key)).toEqual(expect.arrayContaining(["time", "model", "total"]));
});

it("shows everything where there is room, and the variant with the model where there is not", () => {
  expect(columnsFor(1_200).columns).toEqual(COLUMNS);
  expect(columnsFor(900)).toMatchObject({ narrow: false, wide: false });
  expect(columnsFor(360)).toMatchObject({ narrow: true, wide: false });
});
