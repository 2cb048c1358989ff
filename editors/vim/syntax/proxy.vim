" Written by `python -m pytest --golden`; change the tables, not this file.
scriptencoding utf-8
if exists("b:current_syntax")
  finish
endif
syntax case match

syntax match proxyName /[A-Za-zσ∑][A-Za-z0-9_ₛₜ]*/
syntax match proxyStatistic /\%(curvature\|fan_out\|tensors\|fan_in\|layers\|params\|block\|flops\|index\|attn\|E_s\|E_t\|FIM\|F_s\|F_t\|NTK\|P_s\|P_t\|V_s\|V_t\|Eₛ\|Eₜ\|Fₛ\|Fₜ\|Pₛ\|Pₜ\|Vₛ\|Vₜ\|A\|H\|I\|J\|O\|S\|T\|W\|X\|Y\|Z\)[A-Za-z0-9_ₛₜ]\@!/
syntax match proxyOperator /\%(log_softmax\|standardise\|leaky_relu\|logsoftmax\|multiscale\|percentile\|batchnorm\|normalize\|quantiles\|chancorr\|changram\|norm_inf\|norm_nuc\|pairwise\|patterns\|smoothL1\|softplus\|abssqrt\|chancov\|channel\|eigvals\|hamming\|maximum\|minimum\|pearson\|reldist\|sigmoid\|softmax\|svdvals\|abslog\|angles\|concat\|cosine\|invert\|l1norm\|l2norm\|logdet\|matmul\|median\|minmax\|norm_1\|norm_2\|norm_F\|revert\|symlog\|align\|batch\|erank\|first\|local\|numel\|prank\|scale\|swish\|total\|catt\|cond\|corr\|diag\|drop\|gram\|hard\|last\|mask\|mean\|mish\|natt\|noop\|norm\|pick\|pow2\|pow4\|rank\|relu\|satt\|sign\|silu\|sqrt\|tanh\|CKA\|MMD\|abs\|add\|bmm\|div\|dot\|exp\|log\|max\|min\|mul\|neg\|pow\|std\|sub\|sum\|var\|KL\|L1\|L2\|ln\|mm\|σ\|∑\)\ze[[(]/
syntax match proxyDerivative /\%(grad\|hess\)[A-Za-z0-9_ₛₜ]\@!/
syntax match proxyDerivative /∂L\/∂/
syntax match proxyNumber /\%(\d\+\%(\.\d*\)\?\|\.\d\+\)\%([eE][+-]\?\d\+\)\?/
syntax match proxySign /[-*+@²³·×⁴−√⊙\/^]/
syntax match proxySign /[|‖]\%(_\*\|_F\|_1\|₁\|_2\|₂\|_inf\|_∞\)\?/
syntax match proxyItem /^proxy\/\d\+/
syntax match proxyTitle /\%(^proxy\/\d\+\s\+\)\@<=\S\+/
syntax match proxyHeader /^\%(\%(reported\|measured\|x-[a-z0-9-]\+\)\|about\|source\|better\|inputs\|reference\)\ze:/
syntax match proxyFact /\%(^\%(reported\|measured\|x-[a-z0-9-]\+\):\)\@<=.*$/
syntax match proxyChoice /\%(^better:\s*\)\@<=\%(higher\|lower\)\>/
syntax match proxyItem /^\%(let\ze\s\|score\ze\s*=\)/
syntax match proxyLet /\%(^let\s\+\)\@<=[A-Za-zσ∑][A-Za-z0-9_ₛₜ]*\ze\s*=/
syntax match proxyComment /#.*$/
syntax region proxyText start=/\%(^\%(about\|source\):\s*\)\@<="/ skip=/\\./ end=/"/
syntax region proxyAttributes start=/[A-Za-z0-9_σ∑ₛₜ]\@1<=\[/ end=/\]/ contains=proxyChoice,proxyParameter,proxyNumber,proxySign
syntax match proxyChoice /[A-Za-zσ∑][A-Za-z0-9_ₛₜ]*/ contained
syntax match proxyParameter /[A-Za-zσ∑][A-Za-z0-9_ₛₜ]*\ze\s*=/ contained
syntax match proxyNumber /[-−]\?\%(\d\+\%(\.\d*\)\?\|\.\d\+\)\%([eE][+-]\?\d\+\)\?/ contained
syntax match proxySign /=/ contained

highlight default link proxyItem Keyword
highlight default link proxyTitle Title
highlight default link proxyHeader Label
highlight default link proxyFact String
highlight default link proxyText String
highlight default link proxyChoice Constant
highlight default link proxyLet Identifier
highlight default link proxyComment Comment
highlight default link proxyDerivative Type
highlight default link proxyOperator Function
highlight default link proxyStatistic Identifier
highlight default link proxyNumber Number
highlight default link proxySign Operator
highlight default link proxyParameter Label

let b:current_syntax = "proxy"
