"""The networks that recipes can name, one a file."""

from train.networks.network import Network
from train.registry import Registry

NETWORKS: Registry[Network] = Registry(
    "network",
    {
        "plain": "train.networks.plain:PlainStack",
        "interpolated": "train.networks.interpolated:InterpolatedStack",
        "srcnn": "train.networks.srcnn:Srcnn",
        "vdsr": "train.networks.vdsr:Vdsr",
        "fsrcnn": "train.networks.fsrcnn:Fsrcnn",
        "espcn": "train.networks.espcn:Espcn",
        "edsr": "train.networks.edsr:Edsr",
        "lapsrn": "train.networks.lapsrn:Lapsrn",
        "rrdb": "train.networks.rrdb:Rrdb",
        "fd-srcnn": "train.networks.fd_srcnn:FdSrcnn",
        "cisr-psi": "train.networks.cisr_psi:CisrPsi",
    },
)
