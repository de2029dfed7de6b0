// What cannot be imported or exported.

import { missing, hidden, secret, shown as once } from "./modules/other";
import { shown as twice, shown as twice } from "./modules/other";
import * as other from "./modules/nowhere";
import other2 from "./modules/other";
import "./modules/other";
import { x } from "modules/other";
import { shown as y } from "./modules/other.ts";
import { main as again } from "./modules";
import { shown as Math } from "./modules/other";

export default function f(): void {}
export { f };
export * from "./modules/other";

export function main(): void {}
function once(): void {}
