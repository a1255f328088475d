import { Category } from "../gen/shop/inventory/v1/inventory_pb.ts";

/** A thing for sale, and how many of it a full shelf holds. */
export interface Article {
  readonly sku: string;
  readonly name: string;
  readonly category: Category;
  readonly priceCents: number;
  /** 0: no longer made, so that no delivery brings any. */
  readonly shelf: number;
  readonly attributes: Readonly<Record<string, string>>;
}

const { ROPE, HARDWARE, CLOTHING } = Category;

/** What the shop sells: all that a sailor needs, but for the boat. */
export const articles: readonly Article[] = [
  article("rope-12mm", "Braided rope", ROPE, 8900, { length: "50 m", diameter: "12 mm" }),
  article("rope-8mm", "Halyard", ROPE, 5450, { length: "30 m", diameter: "8 mm" }),
  article("twine", "Whipping twine", ROPE, 690, { length: "25 m" }),
  article("shock-cord", "Shock cord", ROPE, 1275, { length: "10 m", diameter: "6 mm" }),
  article("cleat", "Horn cleat", HARDWARE, 2390, { material: "bronze" }),
  article("shackle", "Bow shackle", HARDWARE, 1150, { material: "steel", load: "1.5 t" }),
  article("block", "Ball-bearing block", HARDWARE, 4999, { sheave: "57 mm" }),
  article("anchor", "Plough anchor", HARDWARE, 18900, { weight: "10 kg" }),
  article("oilskin", "Oilskin jacket", CLOTHING, 15900, { sizes: "S–XXL" }),
  article("gloves", "Sailing gloves", CLOTHING, 3495, { sizes: "XS–XL" }),
  article("beanie", "Wool beanie", CLOTHING, 2450, { colour: "navy" }),
  { ...article("sextant", "Brass sextant", HARDWARE, 49900, { year: "1956" }), shelf: 0 },
];

/** The same by SKU. */
export const articleBySku: ReadonlyMap<string, Article> = new Map(articles.map((each) => [each.sku, each]));

function article(
  sku: string,
  name: string,
  category: Category,
  priceCents: number,
  attributes: Article["attributes"],
): Article {
  return { sku, name, category, priceCents, attributes, shelf: 2000 };
}
