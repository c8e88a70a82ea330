// Parses and binds KQL with Microsoft's language service.
// stdin: {databases: {name: {tables: {name: "(A:string, ...)"}, functions: [{name, parameters, body}]}}, texts: [{id, database, text}]}
// stdout: [{id, severity, code, line, column, message}]
"use strict";

const fs = require("node:fs");
const path = require("node:path");

const folder = path.dirname(require.resolve("@kusto/language-service-next/package.json"));
require(path.join(folder, "bridge.min.js")); // sets a global, as does the next
require(path.join(folder, "Kusto.Language.Bridge.min.js"));

const { KustoCode, GlobalState, Symbols } = Kusto.Language;

function globalsOf([name, { tables, functions }]) {
  const members = Object.entries(tables).map(([table, schema]) => Symbols.TableSymbol.From(schema).WithName(table));
  for (const { name: functionName, parameters, body } of functions) {
    members.push(new Symbols.FunctionSymbol.$ctor16(functionName, `(${parameters})`, `{ ${body} }`, ""));
  }
  return [name, GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.$ctor1(name, members))];
}

function place(text, offset) {
  const before = text.slice(0, offset).split("\n");
  return { line: before.length, column: before.at(-1).length + 1 };
}

function diagnosticsOf({ id, database, text }, globals) {
  const found = KustoCode.ParseAndAnalyze(text, globals.get(database)).GetDiagnostics();
  return Array.from({ length: found.Count }, (_, index) => {
    const { Severity: severity, Code: code, Start: start, Message: message } = found.getItem(index);
    return { id, severity, code, ...place(text, start), message };
  });
}

const request = JSON.parse(fs.readFileSync(0, "utf8"));
const globals = new Map(Object.entries(request.databases).map(globalsOf));
process.stdout.write(JSON.stringify(request.texts.flatMap((text) => diagnosticsOf(text, globals))));
