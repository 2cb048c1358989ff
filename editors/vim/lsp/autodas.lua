-- Found by Neovim 0.11 and later; started by vim.lsp.enable("autodas").
return {
  cmd = { "autodas-dsl", "lsp" },
  filetypes = { "proxy" },
  root_markers = { ".git" },
}
