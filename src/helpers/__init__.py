"""Helpers of *When Pruning Works*: prune a language model, capture what it holds, compare.

Modules are layered; each imports only from those before it: ``errors``, ``text_files``,
``parameters``, ``settings``, ``machine``, ``models``, ``own_prompts``, ``data``, ``probes``,
``passages``, ``calibration``, ``pruning``, ``capture``, ``resume``, ``spaces``, ``theory``,
``attention_paths``, ``projections``, ``panel_model``, ``readouts``, ``states``, ``derivations``,
``limits``, ``subsets``, ``decoding``, ``decisions``, ``asking``, ``attention``, ``readings``,
``source``, ``shares``, ``evaluation``, ``results``, ``measurements``, ``sweeps``, ``reported``,
``summaries``, ``claims``, ``noise``, ``noise_words``, ``estimates``, ``magnitudes``,
``step_frames``, ``analysis``, ``supplement``, ``supplement_claims``, ``validity``,
``temperature_summary``, ``reach``, ``resampling``, ``ladder_summary``, ``subspace``, ``parting``,
``trends``, ``margins``, ``path_summary``, ``term_summary``, ``error_propagation``,
``persistence``, ``multi_scale``, ``greedy_and_sampled``, ``figure_7``, ``multi_scale_words``,
``interventions``, ``dimensions``, ``dimension_tables``, ``costs``, ``words``, ``letters``,
``subspace_tables``, ``subspace_words``, ``prompt_words``, ``collapse``, ``aftermath``,
``decision_frames``, ``decision_tables``, ``decision_claims``, ``answers``, ``collapse_tables``,
``collapse_verdicts``, ``background``, ``figures``, ``text_blocks``, ``byhand``, ``chapter``,
``propagation_words``, ``ladder_tables``, ``ladder_words``, ``kept_shares``, ``score_tables``,
``probe_effects``, ``probe_levels``, ``score_layouts``, ``score_frames``, ``score_claims``,
``task_costs``, ``task_words``, ``probe_words``, ``number_formats``, ``figure_1_words``,
``introduction_words``, ``more_models_words``, ``collapse_words``, ``decision_words``, ``runner``.
"""

import warnings

__version__ = "0.1.0"

# progress bars are plain text here; their notebook form would be missing from the site
warnings.filterwarnings("ignore", message="IProgress not found")
