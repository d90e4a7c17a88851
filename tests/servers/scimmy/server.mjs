// scimmy and scimmy-routers, as their own documentation puts them together, over a Map for each kind of resource.
// What is decided here: unique user names, and nothing else. Filters, PATCH, schemas and paging are scimmy's own.
//
//   SCIM_TOKEN=… node server.mjs MODULES DESCRIPTOR
//
// MODULES is the directory that holds node_modules, DESCRIPTOR a listening socket that the process inherits.
import { randomUUID } from "node:crypto";
import { createRequire } from "node:module";

const [modules, descriptor] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const express = require("express");
const SCIMMY = require("scimmy").default ?? require("scimmy");
const SCIMMYRouters = require("scimmy-routers").default ?? require("scimmy-routers");

const { Error: Refusal } = SCIMMY.Types;
const stores = [];

class Kept {
    constructor(unique) {
        this.rows = new Map();
        this.unique = unique;
        stores.push(this);
    }

    found(id) {
        const row = this.rows.get(id);
        if (row === undefined) throw new Refusal(404, null, `Resource ${id} not found`);
        return row;
    }

    egress = ({ id, filter }) => {
        if (id) return this.found(id);
        const rows = [...this.rows.values()];
        return filter ? filter.match(rows) : rows;
    };

    ingress = ({ id }, instance) => {
        const before = id ? this.found(id) : { id: randomUUID(), meta: { created: new Date() } };
        const body = JSON.parse(JSON.stringify(instance));
        const name = body[this.unique]?.toLowerCase();
        for (const each of this.unique ? this.rows.values() : [])
            if (each.id !== id && each[this.unique].toLowerCase() === name)
                throw new Refusal(409, "uniqueness", `${this.unique} is already in use`);
        const meta = { ...before.meta, lastModified: new Date() };
        this.rows.set(before.id, { ...body, id: before.id, meta });
        return this.rows.get(before.id);
    };

    degress = ({ id }) => {
        this.found(id);
        this.rows.delete(id);
    };
}

function declare(resource, kept) {
    SCIMMY.Resources.declare(resource).ingress(kept.ingress).egress(kept.egress).degress(kept.degress);
}

SCIMMY.Config.set({ patch: true, filter: true, sort: true });
declare(SCIMMY.Resources.User.extend(SCIMMY.Schemas.EnterpriseUser, false), new Kept("userName"));
declare(SCIMMY.Resources.Group, new Kept(null));

const application = express();
application.post("/empty", (_, answer) => {
    for (const kept of stores) kept.rows.clear();
    answer.status(204).end();
});
application.use("/v2", new SCIMMYRouters({
    type: "bearer",
    handler: (request) => {
        if (request.header("Authorization") !== `Bearer ${process.env.SCIM_TOKEN}`) throw new Error("the token is wrong");
        return "tests";
    },
}));
application.listen({ fd: Number(descriptor) });
