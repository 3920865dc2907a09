"""Algorithms as compositions of the estimator's parts, and the registry of their names."""

from collections.abc import Callable

from algorithms.bounded_clips import grpo_dual_clip, grpo_two_sided_clip
from algorithms.chord import chord_mu, chord_phi, gac
from algorithms.cispo import cispo
from algorithms.covariance import clip_cov, kl_cov
from algorithms.dapo import dapo
from algorithms.dr_grpo import dr_grpo
from algorithms.gmpo import gmpo
from algorithms.gpg import gpg
from algorithms.grpo import grpo
from algorithms.grpo_corrected import grpo_mis, grpo_tis
from algorithms.grpo_kl import grpo_kl
from algorithms.gspo import gspo
from algorithms.hpt import hpt, hpt_equations
from algorithms.hpt_off_policy import hpt_mix_on, hpt_off_on
from algorithms.hpt_soft import hpt_soft
from algorithms.luffy import luffy
from algorithms.opo import opo
from algorithms.ppo import ppo
from algorithms.prefix_rft import prefix_rft
from algorithms.reinforce import reinforce
from algorithms.reinforce_plus_plus import reinforce_plus_plus, reinforce_plus_plus_baseline
from algorithms.relift import relift
from algorithms.remax import remax
from algorithms.rl_plus import rl_plus
from algorithms.rloo import rloo
from algorithms.sapo import sapo
from algorithms.sft import sft
from algorithms.sft_then_grpo import sft_then_grpo
from algorithms.srft import srft, srft_equations
from algorithms.uft import uft
from algorithms.weighted_sft import dft, f_alpha, iw_sft, psft, trsft
from core import Algorithm, Curriculum

ALGORITHMS: dict[str, Callable[..., Algorithm | Curriculum]] = {
    # imitation, and its weighted forms
    "sft": sft,
    "dft": dft,
    "f_alpha": f_alpha,
    "trsft": trsft,
    "iw_sft": iw_sft,
    "psft": psft,
    # reinforcement
    "reinforce": reinforce,
    "rloo": rloo,
    "remax": remax,
    "opo": opo,
    "gpg": gpg,
    "reinforce_plus_plus": reinforce_plus_plus,
    "reinforce_plus_plus_baseline": reinforce_plus_plus_baseline,
    "ppo": ppo,
    "grpo": grpo,
    "grpo_kl": grpo_kl,
    "grpo_dual_clip": grpo_dual_clip,
    "grpo_two_sided_clip": grpo_two_sided_clip,
    "grpo_tis": grpo_tis,
    "grpo_mis": grpo_mis,
    "dr_grpo": dr_grpo,
    "dapo": dapo,
    "cispo": cispo,
    "gspo": gspo,
    "gmpo": gmpo,
    "sapo": sapo,
    "clip_cov": clip_cov,
    "kl_cov": kl_cov,
    # both
    "sft_then_grpo": sft_then_grpo,
    "luffy": luffy,
    "srft": srft,
    "srft_equations": srft_equations,
    "rl_plus": rl_plus,
    "chord_mu": chord_mu,
    "chord_phi": chord_phi,
    "gac": gac,
    "relift": relift,
    "uft": uft,
    "prefix_rft": prefix_rft,
    "hpt": hpt,
    "hpt_equations": hpt_equations,
    "hpt_off_on": hpt_off_on,
    "hpt_mix_on": hpt_mix_on,
    "hpt_soft": hpt_soft,
}
