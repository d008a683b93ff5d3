// Opens the page of docs/how-to/javascript.md and looks whether it lists as many integrations as it should.
import { expect, test } from "@playwright/test";

test("the page lists them", async ({ page }) => {
  await page.goto("/");
  await expect(page.getByRole("listitem")).toHaveCount(Number(process.env.INTEGRATIONS));
});
