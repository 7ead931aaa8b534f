"""FG-EmoTalk: Talking Head Video Generation with Fine-Grained Controllable Facial Expressions (Sun, Xuan, Liu, Xiang;
AAAI 2024). Equations: `equations`, top to bottom as in the paper. No code was released; the parent is LIA (`nn.lia`).

    feature      x = E(picture), facial features            512        LIA          nn.lia.Appearance
    appearance   E_app(x_S)                                 512        attention    networks.AppearanceExtractor
    pose         E_pose(x_D), magnitudes                     20        LIA's MLP    nn.lia.motion_mlp
    expression   E_exp(x_D), magnitudes                      20        LIA's MLP    nn.lia.motion_mlp
    dictionary   Dic(x_exp, x_pose)                    512 x 40        QR           nn.lia.Dictionary
    picture      G(facial features of S, y)                 512 px     LIA          nn.lia.Decoder
    units        intensities -> expression magnitudes         7        gated GCN    networks.AUEncoder
    judge        discriminator                              512 px     StyleGAN2    nn.stylegan2_discriminator

Numbers of the paper, and where they stand: 512 px (`networks`), weights 100, 100 and 10 (`equations.LAMBDAS`), 7 units
of 0 to 5 and the recipes happy 1+12, sad 4+5+9, disgust 4+6+9 (`units`), Adam at 0.002.

Deviations from the paper, with the reason. "Parent" means the released code of a work that the paper builds on.
 1. The three extractors have the same architecture and weights of their own. "The same parameters", taken as shared
    weights, would make the three embeddings identical.
 2. E_app: "fully connected with self-attention", without sizes. Four tokens of 128, one attention of four heads with a
    residual, then LIA's five linear layers to 512.
 3. The size of the dictionary is unstated: 20 columns of the pose and 20 of the expression, one orthonormal matrix.
    Eq. 3 calls Dic once with both, eq. 5 twice with sums. With disjoint columns both are the same, and the two spaces
    are orthogonal by construction.
 4. So E_pose and E_exp give 20 magnitudes each, as LIA's MLP does, not embeddings of 512 entries.
 5. Distances of the frozen networks are unstated: eq. 6 is 1 - cosine of features of a re-identification network, eq. 7
    the mean absolute difference of Micron-BERT's tokens. thgen has neither network. Any network of the kind can be
    given; without one its loss is off. The weights of 100 fit these two networks alone.
 6. The 7 units are not listed. Those of DISFA without units of the mouth's shape are 1, 2, 4, 5, 6, 9, 12, which
    contain all that the recipes name. Intensities are divided by 5 before they scale the embeddings. The paper's
    recipes have no intensities: 3 of 5 is ours.
 7. The loss of the AU encoder is unstated: L1 plus 1 - cosine to the change of the expression magnitudes from the
    person's neutral frame.
 8. "Added or directly replaced": the AU encoder predicts the 20 expression magnitudes as a change. Add: to those of the
    driving frame. Replace: to the mean magnitudes of neutral faces, which the encoder stores.
 9. From the AU encoder's result that of no units is subtracted, so that intensities of 0 change nothing.
10. Gated graph: layers of the parent ME-GraphAU. Its edges come from the picture; here there is none, so the first
    edges are a learned table, 49 x 512.
11. Eq. 10 is the generator's part. The discriminator takes the mean over the five pictures, so that the true ones do
    not weigh five times as much.
12. "During training, the output AU features are set as supervision for the expression latent" contradicts that the
    video network is fixed while the AU encoder is trained. We follow the latter.
"""
