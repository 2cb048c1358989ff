// Starts the language server, which knows the language; this file knows only how to start it.

const vscode = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

function activate() {
  const [command, ...args] = vscode.workspace.getConfiguration("autodas-dsl").get("command");
  client = new LanguageClient("autodas-dsl", { command, args }, {
    documentSelector: [{ language: "proxy" }],
  });
  return client.start();
}

function deactivate() {
  return client?.stop();
}

module.exports = { activate, deactivate };
