autocmd BufNewFile,BufRead *.proxy setfiletype proxy
