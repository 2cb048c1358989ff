def lin_0_3(grad_split2_W):
    t1 = torch.abs(grad_split2_W)
    t2 = torch.mean(t1, (-3,))
    del t1
    t3 = kernels.std(grad_split2_W, (-3,))
    t4 = t2 / t3
    del t2, t3
    n1 = torch.sum(t4, (-2, -1))
    del t4
    return (n1,)


def numbers_0(per_network, per_layer, n1):
    n2 = torch.log(n1)
    n3 = kernels.finite(per_network("lin", lambda v: torch.sum(v, (-1,)), n2))
    return (n3,)
